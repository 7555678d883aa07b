"""The house rules of chapter notebooks, one small function each.

``python -m tools.notebook_rules [NOTEBOOK ...]`` prints every broken rule.
"""

from __future__ import annotations

import copy
import dis
import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import CodeType
from typing import Any

import nbformat

from tools import reading_time
from tools.project import ROOT, chapters, pages
from tools.strip_outputs import is_checked, strip

MAX_LINES = 25
MAX_WIDTH = 100
MAX_MINUTES = 60
HIDDEN = {"hide-input", "remove-input", "remove-cell", "hide-cell"}
CELL_ID = re.compile(r"[a-z][a-z0-9-]*[a-z0-9]")
AUTOMATIC_ID = re.compile(r"[0-9a-f]{8}")
HEADINGS = (
    "What goes wrong",
    "What the source articles say",
    "Exercises",
    "Summary",
    "Self-check",
    "Further reading",
)
PARTS = {  # pattern in the text -> what is missing without it
    r":class:.*\bchapter-facts\b": "the facts admonition (class chapter-facts)",
    r"(?i)you will learn": "the learning goals ('You will learn')",
    r"\{exercise(-start)?\}": "an exercise",
    r"\{solution(-start)?\}": "a solution",
    r":class:.*\bdropdown\b": "a solution that folds (class dropdown)",
    r"\{cite(:\w+)?\}`": "a citation",
}
DRAWS = re.compile(r"\b(?:plt|plot)\.(?!use_book_style\b)\w+\(")
IMAGE_WITHOUT_ALT = re.compile(r"!\[\s*\]\(|<img(?![^>]*\balt=\"[^\"]+\")[^>]*>")
PICTURE = re.compile(r"^(`{3,}|:{3,})\{(?:figure|image)\}.*?^\1\s*$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^\s*(`{3,}|:{3,})(.*)$")
HEADING = re.compile(r"#{2,6} ")
LABEL = re.compile(r"\([\w-]+\)=")
SECTION = re.compile(r"(\([\w-]+\)=\n)?## ")
CITATION = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")

Rule = Callable[[Any], Iterator[str]]


def _text(notebook: Any) -> str:
    return "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def format_is_current(notebook: Any) -> Iterator[str]:
    """Notebook format 4.5, the first that has cell ids, and the kernel that everyone has."""
    if (notebook.nbformat, notebook.nbformat_minor) != (4, 5):
        yield f"format is {notebook.nbformat}.{notebook.nbformat_minor}, not 4.5"
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "kernelspec is not python3"


def times_are_stated(notebook: Any) -> Iterator[str]:
    """The chapter says how long it takes on a CPU and on a GPU."""
    stated = notebook.metadata.get("minillm", {})
    for key in ("cpu_seconds", "gpu_seconds"):
        if not isinstance(stated.get(key), (int, float)) or stated[key] <= 0:
            yield f"metadata minillm.{key} is missing"


def outputs_are_stripped(notebook: Any) -> Iterator[str]:
    """Git holds the outputs of checked cells alone, and all of those."""
    bare = copy.deepcopy(notebook)
    strip(bare)
    for cell, stripped in zip(notebook.cells, bare.cells, strict=True):
        if cell != stripped:
            yield f"cell {cell.get('id')}: output is not stripped (tools/strip_outputs.py)"
        if cell.cell_type == "code" and is_checked(cell) and not cell.outputs:
            yield f"cell {cell.get('id')}: is checked but has no output to check against"
    if "widgets" in notebook.metadata:
        yield "widget state is not stripped (tools/strip_outputs.py)"


def tags_go_together(notebook: Any) -> Iterator[str]:
    """A checked output is also a kept one, and the other way round."""
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        if ("nbval-check-output" in tags) != ("keep_output" in tags):
            yield f"cell {cell.get('id')}: nbval-check-output and keep_output go together"


def ids_are_readable(notebook: Any) -> Iterator[str]:
    """Cell ids are given by hand and unique: a translation is keyed by them."""
    seen = set()
    for number, cell in enumerate(notebook.cells):
        name = str(cell.get("id", ""))
        if not CELL_ID.fullmatch(name) or AUTOMATIC_ID.fullmatch(name):
            yield f"cell {number}: id {name!r} was not given by hand"
        if name in seen:
            yield f"cell {number}: id {name!r} is used twice"
        seen.add(name)


def sizes_are_kept(notebook: Any) -> Iterator[str]:
    """No long cells, but for the self-check, which stands whole."""
    for cell in notebook.cells:
        lines = len(cell.source.splitlines())
        if lines > MAX_LINES and not cell.source.startswith("## Self-check\n"):
            yield f"cell {cell.get('id')}: {lines} lines, more than {MAX_LINES}"


def lines_are_short(notebook: Any) -> Iterator[str]:
    """No line of code that the page would cut."""
    for cell in notebook.cells:
        widest = max((len(line) for line in cell.source.splitlines()), default=0)
        if cell.cell_type == "code" and widest > MAX_WIDTH:
            yield f"cell {cell.get('id')}: a line of {widest} characters, more than {MAX_WIDTH}"


def minutes_are_computed(notebook: Any) -> Iterator[str]:
    """The stated minutes are those of the core path, and these fit into an hour."""
    stated, computed = reading_time.stated(notebook), reading_time.minutes(notebook)
    if stated != computed:
        yield f"states {stated} minutes to read, computed are {computed} (tools/reading_time.py)"
    if computed > MAX_MINUTES:
        yield f"the core path takes {computed} minutes, more than {MAX_MINUTES}"


def hidden_cells_only_draw(notebook: Any) -> Iterator[str]:
    """What a hidden cell defines, no other cell needs; and it loads no model and no result."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code):
        if not HIDDEN & set(cell.metadata.get("tags", [])) or cell.get("id") == "setup":
            continue
        defined, _ = _names(cell)
        for later in code[number + 1 :]:
            given, taken = _names(later)
            needed = defined & taken
            if needed:
                yield f"cell {cell.id}: is hidden, but {later.id} needs its {sorted(needed)[0]}"
                break
            defined -= given
        if re.search(r"\b(?:minillm|results|corpora)\.(?:load|fetch)\(", cell.source):
            yield f"cell {cell.id}: is hidden, but loads something"


def _names(cell: Any) -> tuple[set[str], set[str]]:
    """The names that a cell gives to a notebook, and those that it takes from earlier cells."""
    given: set[str] = set()
    taken: set[str] = set()
    try:
        code = compile(cell.source, "cell", "exec")
    except SyntaxError:  # a magic command
        return given, taken
    before = ""
    for step in dis.get_instructions(code):
        if step.opname == "LOAD_NAME" and step.argval not in given:
            taken.add(step.argval)
        elif step.opname == "STORE_NAME" and not before.startswith("IMPORT"):
            given.add(step.argval)  # a module that is imported is nothing computed
        before = step.opname
    inner = [part for part in code.co_consts if isinstance(part, CodeType)]
    while inner:  # functions, classes and comprehensions
        part = inner.pop()
        inner += [deeper for deeper in part.co_consts if isinstance(deeper, CodeType)]
        steps = dis.get_instructions(part)
        taken |= {s.argval for s in steps if s.opname == "LOAD_GLOBAL"} - given
    return given, taken


def sections_start_cells(notebook: Any) -> Iterator[str]:
    """What comments on the output above is one cell, the next section another."""
    for cell in notebook.cells:
        if cell.cell_type != "markdown" or cell.get("id") == "title":
            continue
        before, inside = "", False
        for line in cell.source.splitlines():
            inside ^= bool(FENCE.match(line))
            if not inside and HEADING.match(line) and before.strip():
                yield f"cell {cell.get('id')}: {line!r} begins in the middle of the cell"
            before += "" if LABEL.fullmatch(line) else line


def self_check_stands_whole(notebook: Any) -> Iterator[str]:
    """Every question of the self-check is in the cell of its heading."""
    for cell, after in pairwise(notebook.cells):
        begins = cell.cell_type == "markdown" and cell.source.startswith("## Self-check")
        if begins and not SECTION.match(after.source):
            yield f"cell {after.get('id')}: goes on with the self-check"


def fences_close_in_their_cell(notebook: Any) -> Iterator[str]:
    """Exercises, answers and admonitions stand whole; a solution has cells of its own."""
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        opened: list[str] = []
        for line in cell.source.splitlines():
            if not (fence := FENCE.match(line)):
                continue
            if opened and fence[1][0] == opened[-1][0] and not fence[2].strip():
                opened.pop()
            else:
                opened.append(fence[1])
        if opened:
            yield f"cell {cell.get('id')}: {opened[-1]} is opened but not closed"


def parts_are_present(notebook: Any) -> Iterator[str]:
    """Every chapter has the parts that a reader expects in it."""
    text = _text(notebook)
    for heading in HEADINGS:
        if not re.search(rf"^## {re.escape(heading)}\s*$", text, re.MULTILINE):
            yield f"heading '## {heading}' is missing"
    for pattern, missing in PARTS.items():
        if not re.search(pattern, text):
            yield f"{missing} is missing"
    if len(re.findall(r"^# .+$", text, re.MULTILINE)) != 1:
        yield "there must be one title (# ...)"
    if not any(c.get("id") == "setup" and c.cell_type == "code" for c in notebook.cells):
        yield "the setup cell (id setup) is missing"


def _draws(cell: Any) -> bool:
    if cell.cell_type != "code" or "no-figure" in cell.metadata.get("tags", []):
        return False
    drawn = cell.get("id") != "setup" and DRAWS.search(cell.source)
    return bool(drawn) or "figure" in cell.metadata.get("mystnb", {})


def figures_are_described(notebook: Any) -> Iterator[str]:
    """A cell that draws has a caption, a name and a description of its picture."""
    for cell in filter(_draws, notebook.cells):
        given = cell.metadata.get("mystnb", {})
        found = {
            "figure.caption": given.get("figure", {}).get("caption"),
            "figure.name": given.get("figure", {}).get("name"),
            "image.alt": given.get("image", {}).get("alt"),
        }
        for key, value in found.items():
            if not str(value or "").strip():
                yield f"cell {cell.get('id')}: draws, but has no mystnb.{key}"


def images_are_described(notebook: Any) -> Iterator[str]:
    """Every image in the text has a description."""
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        bare = bool(IMAGE_WITHOUT_ALT.search(cell.source))
        blocks = [match[0] for match in PICTURE.finditer(cell.source)]
        if bare or any(not re.search(r"^:alt: *\S", block, re.MULTILINE) for block in blocks):
            yield f"cell {cell.get('id')}: an image has no alt text"


NOTEBOOK_RULES: tuple[Rule, ...] = (
    format_is_current,
    times_are_stated,
    outputs_are_stripped,
    tags_go_together,
    ids_are_readable,
    sizes_are_kept,
    lines_are_short,
    minutes_are_computed,
    hidden_cells_only_draw,
    sections_start_cells,
    self_check_stands_whole,
    fences_close_in_their_cell,
    parts_are_present,
    figures_are_described,
    images_are_described,
)


def citations_resolve(notebook: Any, keys: set[str]) -> Iterator[str]:
    """Every citation has an entry in the bibliography."""
    for cell in notebook.cells:
        for match in CITATION.finditer(cell.source if cell.cell_type == "markdown" else ""):
            for key in (name.strip() for name in match[1].split(",")):
                if key not in keys:
                    yield f"cell {cell.get('id')}: citation {key!r} is not in book/references.bib"


def setups_are_identical(notebooks: dict[str, Any]) -> Iterator[str]:
    """Every chapter begins with the same setup cell."""
    sources = {
        name: cell.source
        for name, nb in notebooks.items()
        for cell in nb.cells
        if cell.get("id") == "setup"
    }
    first = next(iter(sources), None)
    for name, source in sources.items():
        if first and source != sources[first]:
            yield f"{name}: the setup cell differs from that of {first}"


def figure_names_are_unique(notebooks: dict[str, Any]) -> Iterator[str]:
    """Figure names are labels of the whole book."""
    owner: dict[str, str] = {}
    for name, notebook in notebooks.items():
        for cell in notebook.cells:
            label = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
            if label and owner.setdefault(label, name + cell.id) != name + cell.id:
                yield f"{name}: cell {cell.id}: figure name {label!r} is used twice"


def contents_are_complete(root: Path) -> Iterator[str]:
    """Every notebook of the book is in the table of contents."""
    listed = set(pages(root))
    for path in sorted((root / "book").rglob("*.ipynb")):
        if path not in listed and ".ipynb_checkpoints" not in path.parts:
            yield f"{path.relative_to(root)} is not in _toc.yml"


def bibliography(root: Path) -> set[str]:
    """The keys of ``book/references.bib``."""
    text = (root / "book" / "references.bib").read_text(encoding="utf-8")
    return set(re.findall(r"^@\w+\{\s*([^,\s]+)\s*,", text, re.MULTILINE))


def check(paths: list[Path], root: Path = ROOT) -> list[str]:
    """Every broken rule in these notebooks, each as one line."""
    names = {path: path.relative_to(root).as_posix() for path in paths}
    notebooks = {names[path]: nbformat.read(path, as_version=4) for path in paths}
    keys, broken = bibliography(root), []
    for name, notebook in notebooks.items():
        found = [message for rule in NOTEBOOK_RULES for message in rule(notebook)]
        found += citations_resolve(notebook, keys)
        broken += [f"{name}: {message}" for message in found]
    return [*broken, *setups_are_identical(notebooks), *figure_names_are_unique(notebooks)]


def main(arguments: list[str]) -> int:
    """Check the notebooks that are named, or all of them and the table of contents."""
    if arguments:
        broken = check([Path(name).resolve() for name in arguments])
    else:
        broken = [*check(chapters()), *contents_are_complete(ROOT)]
    print("\n".join(broken) or "Every rule is kept.")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
