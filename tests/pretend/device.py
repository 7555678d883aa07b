"""A pretend accelerator, for a machine without one: tensors that refuse to mix with the CPU's.

Each tensor of the device holds a tensor of the CPU, on which every operation is computed, so
results and random numbers are those of the CPU. What it finds is what stops a program on a real
card: a mask or an index made on the CPU, `numpy()` without `cpu()`, a device that a function does
not pass on, a generator of another device; and, of what CUDA or MPS lack, operators (by torch's own
table) and numbers of 64 bits. What it cannot find: other rounding, memory, speed, kernels that are
there and wrong, autocast (which changes nothing here), and a generator of another device but in the
functions of `RANDOM`.

A device is registered once a process and for good. It needs what torch marks as experimental, so it
is for tests alone.

    with active():
        torch.ones(3, device="pretend") + torch.ones(3)  # raises MixedDevices
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch._decomp import decomposition_table
from torch.utils import backend_registration
from torch.utils._mode_utils import no_dispatch

from tests.pretend.lacking import lacking_operators

NAME = "pretend"
MAY_COPY = {"aten::copy_", "aten::_to_copy"}
INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
TAKE_SCALARS = {*INDEXING, "aten::fill_", "aten::fill", "aten::masked_fill", "aten::masked_fill_"}
RANDOM = ("rand", "randn", "randint", "randperm", "normal", "multinomial", "bernoulli")
RECURRENT = ("lstm.input", "lstm.data", "gru.input", "gru.data")  # else one fused cell of the card


class MixedDevices(RuntimeError):
    """Tensors of two devices, or a generator of another one, met in one operation."""


class Lacking(NotImplementedError):
    """An operator that CUDA or MPS does not have, or numbers of 64 bits, which MPS lacks."""


class PretendTensor(Tensor):
    """A tensor of the device; `raw` is the tensor of the CPU that has its numbers."""

    raw: Tensor

    @staticmethod
    def __new__(cls, raw: Tensor) -> PretendTensor:
        made = Tensor._make_wrapper_subclass(
            cls,
            raw.shape,
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=torch.device(NAME, 0),
        )
        made.raw = raw
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, op, _types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if not torch.is_inference_mode_enabled():
            return _compute(op, *args, **kwargs)
        # A view of an ordinary tensor could not be made of a wrapper that is an inference tensor.
        with torch.inference_mode(False), torch.no_grad():
            return _compute(op, *args, **kwargs)

    def __repr__(self, **_: object) -> str:
        return f"{repr(self.raw)[:-1]}, device='{NAME}:0')"

    def __format__(self, form: str) -> str:
        return self.item().__format__(form) if self.ndim == 0 else object.__format__(self, form)

    def numpy(self, **_: object) -> NoReturn:
        text = f"can't convert {NAME}:0 device type tensor to numpy: use Tensor.cpu() first"
        raise TypeError(_noted(text))

    def tolist(self) -> Any:
        return self.raw.tolist()

    def __reduce_ex__(self, protocol: int) -> Any:
        """As `torch.save` leaves it for a reader without the card: a tensor of the CPU."""
        return self.raw.detach().__reduce_ex__(protocol)


class PretendGenerator(torch.Generator):
    """A source of random numbers on any device; torch has none for a device written in Python."""

    def __new__(cls, device: torch.device | str = "cpu") -> PretendGenerator:
        kind = torch.device(device).type
        made = super().__new__(cls, device="cpu" if kind == NAME else device)
        made.of_pretend = kind == NAME
        return made

    @property
    def device(self) -> torch.device:
        return torch.device(NAME, 0) if self.of_pretend else super().device


@dataclass(frozen=True)
class _Facts:
    """What must be known of an operator, read once."""

    name: str
    scalars_mix: bool
    copies: bool
    index_at: int | None
    turns: bool
    lacking: str | None

    @classmethod
    @cache
    def of(cls, op: torch._ops.OpOverload) -> _Facts:
        name = op._schema.name
        return cls(
            name=op.name(),
            scalars_mix=torch.Tag.pointwise in op.tags or name in TAKE_SCALARS,
            copies=name in MAY_COPY,
            index_at=1 if name in INDEXING else None,
            turns=torch.Tag.inplace_view in op.tags,
            lacking=lacking_operators().get(op.name()),
        )


class _Call:
    """The arguments of one operation, brought down to the CPU."""

    def __init__(self, scalars_mix: bool) -> None:
        self.pretend: dict[int, PretendTensor] = {}  # by the identity of the raw tensor
        self.others: list[Tensor] = []
        self.device: torch.device | None = None
        self.scalars_mix = scalars_mix

    def down(self, value: Any, *, index: bool = False) -> Any:
        if isinstance(value, PretendTensor):
            self.pretend[id(value.raw)] = value
            return value.raw
        if isinstance(value, Tensor):
            if not index and (value.ndim or not self.scalars_mix):  # a card takes single numbers
                self.others.append(value)
            return value
        if isinstance(value, list | tuple):
            return [self.down(part, index=index) for part in value]
        if isinstance(value, torch.device):
            self.device = value
            return torch.device("cpu") if value.type == NAME else value
        return value

    def up(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            if (mine := self.pretend.get(id(value))) is not None:
                return _same_shape(mine)
            if any(value is other for other in self.others):  # the CPU took a copy
                return value
            return _made(value)
        if isinstance(value, list | tuple):
            return type(value)(self.up(part) for part in value)
        return value

    @property
    def stays(self) -> bool:
        return bool(self.pretend) if self.device is None else self.device.type == NAME


def _compute(op: torch._ops.OpOverload, *args: Any, **kwargs: Any) -> Any:
    """Run an operator of the CPU for the pretend device."""
    facts = _Facts.of(op)
    call = _Call(facts.scalars_mix)  # indices may stay on the CPU, for a card as well
    a = [call.down(value, index=i == facts.index_at) for i, value in enumerate(args)]
    k = {name: call.down(value) for name, value in kwargs.items()}
    if call.pretend and call.others and not facts.copies:
        shapes = [tuple(t.shape) for t in call.others]
        text = f"{facts.name}: tensors on {NAME} and on {call.others[0].device}, of shape {shapes}"
        raise MixedDevices(_noted(text))
    if facts.lacking is not None:
        _lacks(facts.name, facts.lacking)
    out = op(*a, **k)
    if facts.turns:
        _turn_wrapper(op, args, kwargs)
    return call.up(out) if call.stays else out


def _turn_wrapper(op: torch._ops.OpOverload, args: Any, kwargs: Any) -> None:
    """Do to the shape of the wrapper what an operator such as `t_` has done to its raw tensor."""
    before = torch._C._meta_in_tls_dispatch_include()
    with no_dispatch():
        torch._C._set_meta_in_tls_dispatch_include(True)
        try:
            op(*args, **kwargs)
        finally:
            torch._C._set_meta_in_tls_dispatch_include(before)


def _compute_below(op: torch._ops.OpOverload, *args: Any, **kwargs: Any) -> Any:
    """As `_compute`, for what has no `PretendTensor` among its arguments."""
    return _compute(op, *args, **kwargs)


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    """What torch calls below the level of `PretendTensor`, as in `torch.tensor(device=...)`."""
    below = [t.raw if isinstance(t, PretendTensor) else t for t in (source, target)]
    below[1].copy_(below[0])
    return target


def _made(raw: Tensor) -> PretendTensor:
    if raw.dtype in {torch.float64, torch.complex128}:
        _lacks(str(raw.dtype), "MPS")
    return PretendTensor(raw)


def _same_shape(tensor: PretendTensor) -> PretendTensor:
    if tensor.shape != tensor.raw.shape:
        raise NotImplementedError("the pretend device cannot change this shape in place")
    return tensor


refused: list[str] = []
"""What was refused so far, also where somebody caught the error."""
_allowed: list[tuple[Set[str], set[str]]] = []


def _lacks(what: str, where: str) -> None:
    names, used = _allowed[-1] if _allowed else (frozenset(), set())
    if what not in names:
        raise Lacking(_noted(f"{what}: {where} does not have it"))
    used.add(what)


def _noted(text: str) -> str:
    refused.append(text)
    return text


@contextmanager
def may_lack(names: Set[str] = frozenset()) -> Iterator[set[str]]:
    """Within the block these operators and types are not refused; the set holds those used."""
    used: set[str] = set()
    _allowed.append((names, used))
    try:
        yield used
    finally:
        _allowed.pop()


class _Module(backend_registration._DummyBackendModule):
    """What torch asks of `torch.pretend`."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


_libraries: list[torch.library.Library] = []


def _overload(name: str) -> torch._ops.OpOverload:
    base, _, overload = name.partition(".")
    return getattr(getattr(torch.ops.aten, base), overload or "default")


def _factories() -> Iterator[torch._ops.OpOverload]:
    """Operators that make a tensor out of none."""
    for name in torch._C._dispatch_get_all_op_names():
        if not name.startswith("aten::") or torch._C._dispatch_has_kernel_for_dispatch_key(
            name, "CompositeImplicitAutograd"
        ):
            continue
        schema = torch._C._get_schema(*name.partition(".")[::2])
        kinds = [str(argument.type) for argument in schema.arguments]
        if "Optional[Device]" in str(kinds) and not any("Tensor" in kind for kind in kinds):
            yield _overload(name.removeprefix("aten::"))


def setup() -> None:
    """Register the device, once a process."""
    if _libraries:
        return
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    everything, aten = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
    everything.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    aten.impl("_copy_from", _copy_from, "PrivateUse1")
    # `torch.tensor([x])` asks below the level of `PretendTensor` for the number in x.
    for op in (*_factories(), _overload("_local_scalar_dense")):
        aten.impl(op, partial(_compute_below, op), "PrivateUse1")
    for name in RECURRENT:
        op = _overload(name)
        aten.impl(op, decomposition_table[op], "AutogradPrivateUse1")
    _libraries.extend((everything, aten))


def _of_one_device(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of `RANDOM` that refuses a generator of another device."""

    def call(*args: Any, **kwargs: Any) -> Tensor:
        tensors = [value.device for value in args if isinstance(value, Tensor)]
        place = kwargs.get("device") or next(iter(tensors), torch.get_default_device())
        source = kwargs.get("generator")
        if source is not None and source.device.type != torch.device(place).type:
            name = function.__name__
            raise MixedDevices(_noted(f"{name}: on {place}, the generator on {source.device}"))
        return function(*args, **kwargs)

    return call


@contextmanager
def active() -> Iterator[None]:
    """Within the block the device can be used; outside it torch is as it was but for its name."""
    setup()
    before = {name: getattr(torch, name) for name in ("Generator", *RANDOM)}
    swap = torch.__future__.get_swap_module_params_on_conversion()
    torch.Generator = PretendGenerator
    for name in RANDOM:
        setattr(torch, name, _of_one_device(before[name]))
    # Parameters stay the same objects when a module moves, as they do with a real card.
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(torch, name, value)
        torch.__future__.set_swap_module_params_on_conversion(swap)
