"""Turn MyST text into the plain Markdown that Jupyter and Colab show.

What cannot be turned is an error that names it, so that nothing disappears from a notebook.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tools.myst.blocks import Code, Directive, split
from tools.myst.prose import Place, find, formula, prose

SOLUTION, SOLUTION_END = "\1solution ", "\1end"  # lines that tools/colab/solutions.py folds
ADMONITIONS = (
    "note",
    "tip",
    "hint",
    "warning",
    "important",
    "caution",
    "danger",
    "attention",
    "error",
    "seealso",
)


def _quote(title: str, body: str) -> str:
    lines = [f"**{title}**", "", *body.splitlines()] if title else body.splitlines()
    return "\n".join(f"> {line}".rstrip() for line in lines)


def _admonition(block: Directive, place: Place) -> str:
    title = block.argument if block.name == "admonition" else block.name.capitalize()
    return _quote(prose(title, place), plain(block.body, place))


def fold(title: str, body: str) -> str:
    """Markdown that is folded in Jupyter, Colab and VS Code alike; the title is plain text.

    Raises:
        ValueError: the title holds markup, which would be shown as it stands.
    """
    if re.search(r"[`$*_<>\[]", title):
        raise ValueError(f"the title {title!r} of a fold has markup")
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _fold(block: Directive, place: Place) -> str:
    return fold(block.argument or "Show", plain(block.body, place))


def caption(name: str, text: str, place: Place) -> str:
    """A caption with the number that the figure has in the book."""
    number = f"**{place.index.figures[name].text}.** " if name in place.index.figures else ""
    return number + plain(text, place).strip()


def _figure(block: Directive, place: Place) -> str:
    alt = re.sub(r"[\[\]]", "", block.options.get("alt", ""))
    image = f"![{alt}]({place.raw}/{place.resolve(block.argument)})"
    return f"{image}\n\n{caption(block.options.get('name', ''), block.body, place)}".rstrip()


def _math(block: Directive, place: Place) -> str:
    body = formula("\n".join(filter(None, (block.argument, block.body.strip()))))
    label = block.options.get("label")
    if not label:
        return f"$$\n{body}\n$$"
    number = place.index.equations[label].text.strip("()")
    return f"$$\n{body} \\tag{{{number}}}\n$$"


def _exercise(block: Directive, place: Place) -> str:
    number = ""
    if label := block.options.get("label"):
        target = find("exercise", place.index.exercises, label)
        number = f" {target.text.removeprefix('Exercise ')}"
    title = f": {prose(block.argument, place)}" if block.argument else ""
    return f"**Exercise{number}{title}**\n\n{plain(block.body, place)}"


def _solution(block: Directive, place: Place) -> str:
    target = find("exercise", place.index.exercises, block.argument)
    return fold(f"Solution of {target.text}", plain(block.body, place))


def _solution_start(block: Directive, place: Place) -> str:
    target = find("exercise", place.index.exercises, block.argument)
    return f"{SOLUTION}{target.text}\n\n{plain(block.body, place)}".rstrip()


def _table(block: Directive, place: Place) -> str:
    caption = f"*{prose(block.argument, place)}*\n\n" if block.argument else ""
    return caption + plain(block.body, place)


def _code(block: Directive, _place: Place) -> str:
    return f"```{block.argument}\n{block.body}\n```"


def _statement(block: Directive, place: Place) -> str:
    kind = block.name.partition(":")[2].capitalize()
    title = f" ({prose(block.argument, place)})" if block.argument else ""
    return _quote(f"{kind}{title}", plain(block.body, place))


DIRECTIVES: dict[str, Callable[[Directive, Place], str]] = {
    **dict.fromkeys(("admonition", *ADMONITIONS), _admonition),
    **dict.fromkeys(
        (
            f"prf:{kind}"
            for kind in ("definition", "theorem", "proof", "algorithm", "remark", "property")
        ),
        _statement,
    ),
    **dict.fromkeys(("figure", "image"), _figure),
    **dict.fromkeys(("exercise", "exercise-start"), _exercise),
    "solution": _solution,
    "solution-start": _solution_start,
    **dict.fromkeys(("code", "code-block"), _code),
    "exercise-end": lambda _block, _place: "",
    "solution-end": lambda _block, _place: SOLUTION_END,
    "dropdown": _fold,
    "math": _math,
    "table": _table,
    "margin": lambda block, place: _quote(block.argument, plain(block.body, place)),
    "sidebar": lambda block, place: _quote(block.argument, plain(block.body, place)),
}


def _convert(block: Directive, place: Place) -> str:
    if block.name not in DIRECTIVES:
        raise ValueError(f"the directive {{{block.name}}} has no plain form (tools/myst/plain.py)")
    text = DIRECTIVES[block.name](block, place)
    return "\n".join((block.indent + line).rstrip() for line in text.splitlines())


def plain(text: str, place: Place) -> str:
    """The same text in plain Markdown.

    Raises:
        ValueError: something in it has no plain form, or refers to what does not exist.
    """
    done = []
    for part in split(text):
        if isinstance(part, Directive):
            done += [_convert(part, place), ""]  # what follows is a paragraph of its own
        elif isinstance(part, Code):
            done.append(part.text)
        else:
            done.append(prose("\n".join(part.lines), place))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(done)).strip("\n")
