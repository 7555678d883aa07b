"""Numbers in a chapter's prose that nothing in the chapter carries.

``python -m tools.numbers_in_prose [NOTEBOOK ...]`` prints every number of the text, the captions
and the descriptions of pictures that stands in no output, in no code, in no formula and in no
sentence with a citation. It reads the outputs of the last ``make book``. A number that is right
nevertheless has an entry in ``book/numbers.yml``, with its reason.

Left out are whole numbers up to 12, years and dates, what is part of a name ("GPT-2"), code,
formulas, the minutes of exercises, and numbers in words. A number is carried by one that is equal
to it after rounding to its last digit (of whole numbers, the last but zeros, though to no fewer
than two digits); 12 % and 0.12 are the same, and so are 1.2 million and 1,200,000.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml
from jupyter_cache import get_cache

from tools.project import CACHE, ROOT, chapters

EXCUSES = ROOT / "book" / "numbers.yml"
NUMBER = re.compile(
    r"(?<![\w.,^_/#-])(\d{1,3}(?:[, ]\d{3})+(?!\d)|\d+)(\.\d+)?(e[-+]?\d+)?(?![\w]|-[a-z]|\.\d)"
    r"( ?%| per ?cent| (?:percentage )?points| million| billion| thousand)?"
)
SCALE = {"million": 1e6, "billion": 1e9, "thousand": 1e3}
PRINTED = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")
NOT_PROSE = re.compile(
    r"\$\$.*?\$\$|\$[^$]*\$"  # formulas
    r"|^```+\{code.*?^```+$|`+[^`]*`+|\{[\w:]+\}`[^`]*`"  # code, roles
    r"|^[`:]{3,}.*$|^ *:[\w-]+:(?! *[A-Z]).*$|\]\([^)]*\)|^\([\w-]+\)=$"  # fences, options, links
    r"|\b\d\d? (?:Jan|Febr|Mar|Apr|May|June|July|Aug|Sept|Oct|Nov|Dec)\w* (?=\d{4}\b)"  # dates
    r"|\*\d+ minutes.*?\*|^ *\d+\.(?= )|https?://\S+|<[^>]*>",  # exercises, facts, lists
    re.MULTILINE | re.DOTALL,
)
CITATION = re.compile(r"\{cite(?::\w+)?\}`[^`]*`")
SENTENCE = re.compile(r"(?<=[.!?])[)*”\"]*\s+|\n\s*\n|\n(?= *[-*|] )")
SMALL, YEARS = 12, range(1500, 2100)


@dataclass(frozen=True)
class Found:
    """A number in the prose: the id of its cell, how it is written, and its sentence."""

    cell: str
    text: str
    sentence: str


def values(match: re.Match[str]) -> tuple[float, float, bool]:
    """What a number says: its value, half a unit of its last digit, and whether it is a share."""
    whole, decimals, power = match[1].replace(",", "").replace(" ", ""), match[2] or "", match[3]
    word = (match[4] or "").strip()
    zeros = min(len(whole) - len(whole.rstrip("0")), len(whole) - 2)
    unit = 10.0 ** (1 - len(decimals) if decimals else max(zeros, 0))
    scale = SCALE.get(word, 1.0) * float(f"1{power or 'e0'}")
    return float(whole + decimals) * scale, unit * scale / 2, bool(word) and word not in SCALE


def prose(cell: Any) -> Iterator[str]:
    """The sentences of a cell that have no citation: text, caption, description."""
    shown = cell.metadata.get("mystnb", {})
    texts = [shown.get("figure", {}).get("caption"), shown.get("image", {}).get("alt")]
    for text in (cell.source if cell.cell_type == "markdown" else None, *texts):
        marked = CITATION.sub("{cite", text or "")
        for sentence in SENTENCE.split(NOT_PROSE.sub(" ", marked)):
            if "{cite" not in sentence:
                yield " ".join(sentence.split())


def numbers(cell: Any) -> Iterator[tuple[Found, re.Match[str]]]:
    """The numbers in the prose of a cell that somebody has to answer for."""
    for sentence in prose(cell):
        for match in NUMBER.finditer(sentence):
            value, _, share = values(match)
            plain = match[2] is None and match[3] is None and not share
            if plain and (value <= SMALL or (value in YEARS and "," not in match[1])):
                continue
            yield Found(cell.id, match[0].strip(), sentence), match


def carried(executed: Any) -> list[float]:
    """Every number in the code and in the printed outputs of a notebook."""
    texts = []
    for cell in executed.cells:
        if cell.cell_type == "code":
            texts.append(cell.source.replace("_", ""))
            for output in cell.outputs:
                texts += [output.get("text", ""), output.get("data", {}).get("text/plain", "")]
    return [float(m[0].replace(",", "")) for text in texts for m in PRINTED.finditer(text)]


def uncarried(executed: Any) -> Iterator[Found]:
    """The numbers in the prose of an executed notebook that it does not carry."""
    known = carried(executed)
    for cell in executed.cells:
        for found, match in numbers(cell):
            value, half, share = values(match)
            scaled = [y * scale for y in known for scale in ((1, 100) if share else (1,))]
            if min((abs(y - value) for y in scaled), default=half * 2) > half * 1.000001:
                yield found


def with_outputs(notebook: Any, cache: Any) -> Any:
    """The notebook with the outputs of its code; KeyError if the cache does not have them."""
    executed = cache.get_cache_bundle(cache.match_cache_notebook(notebook).pk).nb
    there = (cell for cell in executed.cells if cell.cell_type == "code")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = next(there).outputs
    return notebook


def check(paths: list[Path], excuses: dict[str, Any], cache: Any) -> Iterator[str]:
    """A line for every number that nothing carries, and for every excuse that is not needed."""
    for path in paths:
        excused = {(cell, n) for cell, row in excuses.get(path.stem, {}).items() for n in row}
        try:
            notebook = with_outputs(nbformat.read(path, as_version=4), cache)
        except KeyError:
            yield f"{path.stem}: has no outputs yet; run make book"
            continue
        found = list(uncarried(notebook))
        for one in found:
            if (one.cell, one.text) not in excused:
                yield f"{path.stem}: cell {one.cell}: {one.text!r} in: {one.sentence}"
        for cell, text in sorted(excused - {(one.cell, one.text) for one in found}):
            yield f"{path.stem}: cell {cell}: no excuse is needed for {text!r}"


def say(paths: list[Path], cache: Path = CACHE) -> bool:
    """Print what `check` finds with the outputs in this cache; say whether all is well."""
    excuses = yaml.safe_load(EXCUSES.read_text(encoding="utf-8")) or {}
    broken = list(check(paths, excuses, get_cache(str(cache))))
    print("\n".join(broken) or "Every number in the prose is carried.")
    return not broken


if __name__ == "__main__":
    sys.exit(not say([Path(name) for name in sys.argv[1:]] or chapters()))
