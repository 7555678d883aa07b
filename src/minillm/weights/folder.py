"""The weights of a folder in the Hugging Face layout: one safetensors file, or shards and an index.

Where both are, the whole file counts, as in `transformers` and for `from_hub`.

Book: chapter "A GPT, and the real thing".
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from .safetensors import read_safetensors
from .vocabulary import read_json

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
