"""The GGUF format of llama.cpp: metadata, a table of tensors, and their (quantised) numbers.

The file is mapped into memory, so opening it reads no weights; a tensor is turned into floats when
it is asked for. Every length and offset is compared with the file's size before it is used. Left
out on purpose: big-endian files, and arrays of arrays in the metadata.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minillm.weights.gguf_blocks import ENCODINGS, Encoding

MAX_AXES = 4
DEFAULT_ALIGNMENT = 32
STRING, ARRAY, FLOAT32 = 8, 9, 6
SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}


@dataclass(frozen=True)
class TensorInfo:
    """One row of the table of tensors; `shape` is PyTorch's order, the file has the reverse."""

    shape: tuple[int, ...]
    encoding: Encoding
    offset: int

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return math.prod(self.shape) // self.encoding.block * self.encoding.size


class GGUF(Mapping[str, Tensor]):
    """An open GGUF file: a mapping from names to float32 tensors, decoded when asked for.

    Args:
        path: the file; it stays mapped as long as this object lives.

    Attributes:
        metadata: what the file says about itself (sizes, tokens, chat template), by key.
        infos: the table of tensors, by name.

    Raises:
        ValueError: If the file is truncated or corrupt, or a tensor has an encoding that is not
            in `ENCODINGS`.

    Example:
        >>> from minillm.hub import fetch
        >>> GGUF(fetch("smollm2-135m-instruct")).metadata["general.architecture"]
        'llama'

    Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
    Book: chapter "A GPT, and the real thing".
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        # Copy on write: torch insists on writable memory, the file itself is never changed.
        empty = self.path.stat().st_size == 0  # which cannot be mapped
        self._bytes = np.empty(0, np.uint8) if empty else np.memmap(self.path, np.uint8, mode="c")
        try:
            self.metadata, self.infos, self._start = _parse(self._bytes.data)
        except ValueError as error:
            raise ValueError(f"{self.path.name} is not a sound GGUF file: {error}") from error

    def __getitem__(self, name: str) -> Tensor:
        """Decode one tensor; a fresh float32 copy."""
        info = self.infos[name]
        begin = self._start + info.offset
        raw = torch.from_numpy(self._bytes[begin : begin + info.nbytes])
        if info.encoding.block > 1:
            raw = raw.view(-1, info.encoding.size)
        values = info.encoding.decode(raw).view(info.shape)
        return values.clone() if values.data_ptr() == raw.data_ptr() else values

    def __iter__(self) -> Iterator[str]:
        return iter(self.infos)

    def __len__(self) -> int:
        return len(self.infos)


class _Reader:
    """A cursor that refuses to read past the end."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.position = data, 0

    def take(self, count: int) -> memoryview:
        begin, self.position = self.position, self.position + count
        if self.position > len(self.data):
            raise ValueError(f"byte {self.position} is needed, the file has {len(self.data)}")
        return self.data[begin : self.position]

    def number(self, code: str) -> Any:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def string(self) -> str:
        return str(self.take(self.number("Q")), "utf-8")

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.string()
        if kind == FLOAT32:  # its shortest decimal, so 1e-05 does not become 9.99999974e-06
            return float(str(np.float32(self.number("f"))))
        if kind in SCALARS:
            return self.number(SCALARS[kind])
        raise ValueError(f"unknown type of metadata: {kind}")

    def array(self) -> list[Any]:
        kind, count = self.number("I"), self.number("Q")
        if kind == STRING:
            return self.strings(count)
        if kind not in SCALARS:
            raise ValueError(f"an array holds elements of unknown type {kind}")
        width = struct.calcsize("<" + SCALARS[kind])
        return list(struct.unpack(f"<{count}{SCALARS[kind]}", self.take(count * width)))

    def strings(self, count: int) -> list[str]:
        """As `count` times `string`, written flat: a vocabulary has 50,000 of them."""
        data, position, length, found = self.data, self.position, struct.Struct("<Q"), []
        for _ in range(count):
            if position + 8 > len(data):
                raise ValueError(f"byte {position + 8} is needed, the file has {len(data)}")
            begin = position + 8
            position = begin + length.unpack_from(data, position)[0]
            found.append(str(data[begin:position], "utf-8"))
        self.position = position
        self.take(0)
        return found


def _parse(data: memoryview) -> tuple[dict[str, Any], dict[str, TensorInfo], int]:
    """Metadata, table of tensors, and where the numbers begin."""
    reader = _Reader(data)
    if bytes(reader.take(4)) != b"GGUF":
        raise ValueError("it does not begin with the letters GGUF")
    version = reader.number("I")
    if version not in (2, 3):
        raise ValueError(f"version {version} is not 2 or 3")
    n_tensors, n_pairs = reader.number("Q"), reader.number("Q")
    metadata: dict[str, Any] = {}
    for _ in range(n_pairs):
        key, kind = reader.string(), reader.number("I")
        if key in metadata:
            raise ValueError(f"key {key!r} occurs twice")
        metadata[key] = reader.array() if kind == ARRAY else reader.value(kind)
    infos: dict[str, TensorInfo] = {}
    for _ in range(n_tensors):
        name = reader.string()
        if name in infos:
            raise ValueError(f"tensor {name!r} occurs twice")
        infos[name] = _info(reader, name)
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if type(alignment) is not int or alignment < 1:
        raise ValueError(f"general.alignment is {alignment!r}")
    start = -(-reader.position // alignment) * alignment
    _check_layout(infos, alignment, len(data) - start)
    return metadata, infos, start


def _info(reader: _Reader, name: str) -> TensorInfo:
    axes = reader.number("I")
    if not 1 <= axes <= MAX_AXES:
        raise ValueError(f"{name} has {axes} axes")
    shape = tuple(reader.number("Q") for _ in range(axes))[::-1]
    kind, offset = reader.number("I"), reader.number("Q")
    if kind not in ENCODINGS:
        known = ", ".join(encoding.name for encoding in ENCODINGS.values())
        raise ValueError(f"{name} has encoding {kind}; known are {known}")
    encoding = ENCODINGS[kind]
    if min(shape) < 1 or shape[-1] % encoding.block:
        raise ValueError(f"{name} of shape {shape} does not fit blocks of {encoding.block}")
    return TensorInfo(shape, encoding, offset)


def _check_layout(infos: dict[str, TensorInfo], alignment: int, size: int) -> None:
    """Tensors must follow each other on the alignment, without gap, and lie in the file."""
    end = 0
    for offset, name in sorted((info.offset, name) for name, info in infos.items()):
        expected = -(-end // alignment) * alignment
        if offset != expected:
            raise ValueError(f"{name} begins at byte {offset} of the numbers, not at {expected}")
        end = offset + infos[name].nbytes
    if end > size:
        raise ValueError(f"the tensors need {end} bytes, the file has {size}")
