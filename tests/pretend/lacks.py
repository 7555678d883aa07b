"""What chapters use on the device although CUDA or MPS do not have it, and why it stays.

By chapter and cell: what is used, as the pretend device names it, and the reason. The test fails
if a cell uses something that is not listed, and if something listed is not used any more.
"""

from __future__ import annotations

LACKS: dict[tuple[str, str], dict[str, str]] = {}


def allowed(chapter: str) -> dict[str, set[str]]:
    """By cell, what a chapter may use."""
    return {cell: set(names) for (stem, cell), names in LACKS.items() if stem == chapter}
