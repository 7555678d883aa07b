"""Move weights from another naming to ours by a table, and refuse whatever does not fit.

A published checkpoint holds the same matrices as our model under other names, sometimes transposed,
fused or reordered. Each family has a table with one row for each tensor: our names, their name, and
what to do. Loading is strict in both directions: a tensor that no row takes, or a parameter that no
row fills, is an error that lists the names. A silently dropped bias would still write fluent text.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from minillm.weights.transforms import Transform

SHOWN = 8  # names in an error message


@dataclass(frozen=True)
class Rule:
    """One row of a table: `theirs`, transformed, becomes `ours`; {i} stands for each layer."""

    ours: tuple[str, ...]
    theirs: str
    transform: Transform


@dataclass(frozen=True, kw_only=True)
class Table:
    """All rows of a family.

    Args:
        rules: one for each tensor that our model needs.
        prefix: what some checkpoints put before every name.
        renamed: endings of old checkpoints and what they are called today.
        ignored: a regular expression for names that carry nothing our model uses.
        copies: further names of a tensor. One name is enough; what stands under several must agree.
        zeros: names of what our model lacks; harmless, and allowed, only if all its numbers are 0.
    """

    rules: tuple[Rule, ...]
    prefix: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    ignored: str = "(?!)"  # matches nothing
    copies: Mapping[str, str] = field(default_factory=dict)
    zeros: frozenset[str] = frozenset()

    def name(self, theirs: str) -> str:
        """The name in the table of a tensor in a checkpoint."""
        name = theirs.removeprefix(self.prefix)
        for old, new in self.renamed.items():
            name = re.sub(f"{re.escape(old)}$", new, name)
        return name

    def expand(self, n_layers: int) -> list[Rule]:
        """The rules with {i} replaced by 0 … n_layers − 1."""
        fixed = [rule for rule in self.rules if "{i}" not in rule.theirs]
        layered = [rule for rule in self.rules if "{i}" in rule.theirs]
        return fixed + [
            Rule(tuple(o.format(i=i) for o in r.ours), r.theirs.format(i=i), r.transform)
            for i in range(n_layers)
            for r in layered
        ]


def convert(
    source: Mapping[str, Tensor],
    table: Table,
    *,
    n_layers: int,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> dict[str, Tensor]:
    """Our tensors by name, from a checkpoint's by theirs.

    Args:
        source: the checkpoint; each tensor is read once.
        table: the family's rows.
        n_layers: L.
        dtype: type of the result.
        device: where to put it.

    Raises:
        ValueError: If a tensor of the table is missing, one in the checkpoint is left over, a copy
            differs from its original, one tensor has two names, or numbers are infinite or NaN.

    Example:
        >>> table = Table(rules=(Rule(("a.weight",), "x", lambda tensor: (tensor.mT,)),))
        >>> convert({"x": torch.zeros(2, 3)}, table, n_layers=1)["a.weight"].shape
        torch.Size([3, 2])

    Book: chapter "A GPT, and the real thing".
    """
    if n_layers > len(source):
        raise ValueError(f"the config has {n_layers} layers, the checkpoint {len(source)} tensors")
    rules, names = table.expand(n_layers), _names(source, table)
    _check_rest(source, table, names, {rule.theirs for rule in rules})
    result = {}
    for rule in rules:
        tensor = _finite(names[rule.theirs], source[names[rule.theirs]])
        for ours, part in zip(rule.ours, rule.transform(tensor), strict=True):
            result[ours] = part.to(device=device, dtype=dtype)
    return result


def _names(source: Mapping[str, Tensor], table: Table) -> dict[str, str]:
    """The name in the checkpoint of each name in the table; two for one would hide a tensor.

    Libraries keep one of the names of a shared tensor, and not all the same: a copy stands in for
    an original that is not there.
    """
    names = {table.name(name): name for name in source}
    if twice := sorted(set(source) - set(names.values())):
        raise ValueError(f"{_some(twice)}: the same tensor stands under two names")
    for copy, original in table.copies.items():
        if copy in names:
            names.setdefault(original, names[copy])
    return names


def _check_rest(
    source: Mapping[str, Tensor], table: Table, names: Mapping[str, str], wanted: set[str]
) -> None:
    """Refuse what is missing, and what is left over unless it is known to change nothing."""
    extra = {name for name in names.keys() - wanted if not re.fullmatch(table.ignored, name)}
    _refuse(wanted - names.keys(), extra - table.copies.keys() - table.zeros)
    for name in sorted(extra & table.copies.keys()):
        _check_copy(source, names[name], names[table.copies[name]])
    for name in sorted(extra & table.zeros):
        if source[names[name]].count_nonzero():
            raise ValueError(f"{names[name]} is not 0, and our model has nothing like it")


def load_into(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Fill every parameter of a model, which may have been built without memory ("meta").

    Parameters on the meta device are replaced by the tensors themselves; others are overwritten.

    Raises:
        ValueError: If names or shapes differ; the message lists them.

    Example:
        >>> load_into(nn.Linear(2, 1), {"weight": torch.ones(1, 2)})
        Traceback (most recent call last):
        ...
        ValueError: missing: bias

    Book: chapter "A GPT, and the real thing".
    """
    parameters = dict(model.named_parameters())
    _refuse(parameters.keys() - tensors.keys(), tensors.keys() - parameters.keys())
    wrong = [
        f"{name} is {tuple(tensors[name].shape)}, the model needs {tuple(parameter.shape)}"
        for name, parameter in parameters.items()
        if tensors[name].shape != parameter.shape
    ]
    if wrong:
        raise ValueError(_some(wrong))
    on_meta = any(parameter.is_meta for parameter in parameters.values())
    shared = _shared(model)
    model.load_state_dict(tensors, strict=False, assign=on_meta)
    for name, first in shared.items():  # assignment has parted them
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, model.get_parameter(first))


def _shared(model: nn.Module) -> dict[str, str]:
    """Further names of each parameter that has several, and its first name."""
    first = {parameter: name for name, parameter in model.named_parameters()}
    names = model.named_parameters(remove_duplicate=False)
    return {name: first[p] for name, p in names if name != first[p]}


def _refuse(missing: Iterable[str], extra: Iterable[str]) -> None:
    lists = {"missing": sorted(missing), "left over": sorted(extra)}
    problems = [f"{title}: {_some(names)}" for title, names in lists.items() if names]
    if problems:
        raise ValueError("; ".join(problems))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _check_copy(source: Mapping[str, Tensor], copy: str, original: str) -> None:
    if not torch.equal(source[copy], source[original]):
        raise ValueError(f"{copy} differs from {original}, but the config ties them")


def _finite(name: str, tensor: Tensor) -> Tensor:
    """One pass without a mask: a sum is finite only if all its terms are."""
    if not torch.isfinite(tensor.sum(dtype=torch.float32)):
        raise ValueError(f"{name} holds infinite or undefined numbers")
    return tensor
