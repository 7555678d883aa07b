"""The safetensors format: eight bytes of length, a JSON header, raw numbers.

The header maps each name to its type, its shape and where its bytes lie. There is no code in such
a file, so reading one cannot run anything; a pickle can. Everything the header claims is compared
with the file before a tensor is made of it. Left out on purpose: eight-bit floats, lazy reading.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minillm.files import read_json

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
ALIGNMENT = 8


def read_safetensors(path: str | Path) -> dict[str, Tensor]:
    """Read every tensor of a safetensors file into memory.

    Returns:
        Tensors by name, in the types that the file holds.

    Raises:
        ValueError: If the file is truncated, corrupt, or holds a type that is not known here.

    Example:
        >>> from minillm.hub import fetch
        >>> tensors = read_safetensors(fetch("minilm-l6") / "model.safetensors")
        >>> tensors["embeddings.word_embeddings.weight"].shape
        torch.Size([30522, 384])

    Source: https://github.com/huggingface/safetensors, section "Format".
    Book: chapter "A GPT, and the real thing".
    """
    empty = Path(path).stat().st_size == 0  # which cannot be mapped
    # Copy on write: torch insists on writable memory, the file itself is never changed.
    data = np.empty(0, np.uint8) if empty else np.memmap(path, np.uint8, mode="c")
    try:
        start, header = _header(data.data)
        _check_layout(header, len(data) - start)
    except ValueError as error:
        raise ValueError(f"{Path(path).name} is not a sound safetensors file: {error}") from error
    return {name: _tensor(data[start:], entry) for name, entry in header.items()}


def write_safetensors(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors by name; the header is padded so that the numbers lie on 8-byte borders.

    Raises:
        ValueError: If a tensor's type is not known to the format.

    Book: chapter "A GPT, and the real thing".
    """
    Path(path).write_bytes(safetensors_bytes(tensors))


def safetensors_bytes(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> bytes:
    """The content of a safetensors file.

    Args:
        tensors: by name.
        metadata: texts for the header's `__metadata__`.

    Raises:
        ValueError: If a tensor's type is not known to the format.

    Book: chapter "A GPT, and the real thing".
    """
    codes = {dtype: code for code, dtype in DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    chunks: list[bytes] = []
    end = 0
    # Wide types first: then each tensor begins on a border of its own width.
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        if tensor.dtype not in codes:
            raise ValueError(f"{name}: safetensors cannot hold {tensor.dtype}")
        chunks.append(
            tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        )
        begin, end = end, end + len(chunks[-1])
        header[name] = {
            "dtype": codes[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text + b"".join(chunks)


def _header(data: memoryview) -> tuple[int, dict[str, Any]]:
    """Where the numbers begin, and the entries by name."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise ValueError(f"the header claims {length} bytes, the file has {len(data)}")
    try:
        header = json.loads(bytes(data[8 : 8 + length]), object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("the header is nested too deeply") from None
    if not isinstance(header, dict):
        raise ValueError("the header is not a JSON object")
    header.pop("__metadata__", None)
    return 8 + length, header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name occurs twice in the header")
    return dict(pairs)


def _check_layout(header: dict[str, Any], size: int) -> None:
    """Each entry must be well formed, and together they must cover the data without gap."""
    for name, entry in header.items():
        _check_entry(name, entry)
    end = 0
    for begin, stop, name in sorted((*entry["data_offsets"], n) for n, entry in header.items()):
        if begin != end:
            raise ValueError(f"{name} begins at byte {begin}, the tensor before it ends at {end}")
        end = stop
    if end != size:
        raise ValueError(f"the header describes {end} bytes of numbers, the file has {size}")


def _check_entry(name: str, entry: Any) -> None:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name} lacks dtype, shape or data_offsets")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not (isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2):
        raise ValueError(f"{name} has shape {shape!r} and data_offsets {offsets!r}")
    if any(type(number) is not int or number < 0 for number in (*shape, *offsets)):
        raise ValueError(f"{name} has shape {shape!r} and data_offsets {offsets!r}")
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        raise ValueError(f"{name} has type {entry['dtype']!r}, known are {', '.join(DTYPES)}")
    need = math.prod(shape) * DTYPES[entry["dtype"]].itemsize
    if offsets[1] - offsets[0] != need:
        raise ValueError(f"{name} needs {need} bytes but has {offsets[1] - offsets[0]}")


def _tensor(data: NDArray[np.uint8], entry: dict[str, Any]) -> Tensor:
    """A copy of the file's bytes; in a copy they lie on a border of their type."""
    dtype, (begin, end) = DTYPES[entry["dtype"]], entry["data_offsets"]
    if begin == end:
        return torch.empty(entry["shape"], dtype=dtype)
    return torch.from_numpy(data[begin:end].copy()).view(dtype).view(entry["shape"])


PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


def folder_tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor of the folder by name.

    Raises:
        ValueError: If a file is missing, damaged or only there as a pickle, or two shards hold a
            tensor of the same name.

    Book: chapter "A GPT, and the real thing".
    """
    index = folder / "model.safetensors.index.json"
    names = ["model.safetensors"]
    if index.is_file() and not (folder / names[0]).is_file():
        shards = read_json(index).get("weight_map")
        if not isinstance(shards, dict):
            raise ValueError(f"{index.name} has the weight_map {shards!r}, not file names")
        names = sorted({Path(str(name)).name for name in shards.values()})
    files = sorted(file for file in folder.iterdir() if file.is_file())
    if missing := sorted(set(names).difference(file.name for file in files)):
        pickles = [file.name for file in files if file.suffix.lower() in PICKLES]
        hint = f"; {pickles[0]} is a pickle, which can run any program" if pickles else ""
        raise ValueError(f"{folder.name} holds no {missing[0]}{hint}")
    tensors: dict[str, Tensor] = {}
    for name in names:
        shard = read_safetensors(folder / name)
        if twice := sorted(shard.keys() & tensors.keys()):
            raise ValueError(f"{twice[0]} is in {name} and in another shard")
        tensors |= shard
    return tensors
