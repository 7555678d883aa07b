"""Which operators CUDA or MPS lack, by torch's own table of native functions."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torchgen
import yaml

TABLE = Path(torchgen.__file__).parent / "packaged" / "ATen" / "native" / "native_functions.yaml"
FALL_BACK = {"aten::_linalg_svd"}  # torch itself computes these on the CPU for MPS


@cache
def lacking_operators() -> dict[str, str]:
    """Operators with a kernel for the CPU and none for CUDA or MPS, and which of the two it is."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    rows = {row["func"].partition("(")[0]: row for row in yaml.load(TABLE.read_text(), loader)}
    found = {f"aten::{name}": " and ".join(_without(name, rows)) for name in rows}
    return {name: cards for name, cards in found.items() if cards and name not in FALL_BACK}


def _without(name: str, rows: dict[str, Any]) -> list[str]:
    kernels = _kernels(rows[name]) | _kernels(rows.get(rows[name].get("structured_delegate"), {}))
    if "CPU" not in kernels or any(kernel.startswith("Composite") for kernel in kernels):
        return []
    return [card for card in ("CUDA", "MPS") if card not in kernels]


def _kernels(row: dict[str, Any]) -> set[str]:
    """The keys of a row's table of kernels: "CPU, CUDA: add_out" has two."""
    return {key.strip() for keys in row.get("dispatch", {}) for key in keys.split(",")}
