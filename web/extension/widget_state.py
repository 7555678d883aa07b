"""The saved state of a page's explorables, in a file that is loaded when one of them comes near.

A script and not JSON: a page that is opened from a disk may load scripts, but fetch nothing. What
is large in a state, the weights of a model, gets files of its own under `_static/models/`, packed
and named by its content, of which one is loaded when the explorable asks for it: a script for pages
from a disk, and the bare bytes for pages from a server, since a script of megabytes takes its time.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

STATE = re.compile(
    r'\s*<script type="application/vnd\.jupyter\.widget-state\+json">(.*?)</script>', re.S
)
VIEW = "application/vnd.jupyter.widget-view+json"
LARGE = 100_000  # characters of base64 from which on a value has its own file
MODELS = "_static/models"


def move_out(text: str, path: Path, root: Path) -> str:
    """Write the states that a page holds beside it; return the page that names the file instead.

    A page that shows no widget needs no state.

    Args:
        text: the page.
        path: where it is.
        root: the folder of the built book.
    """
    if VIEW not in text:  # widgets were made, and none is shown
        return STATE.sub("", text)
    up = "../" * (len(path.relative_to(root).parts) - 1)
    states = [_with_files(match[1].strip(), root, up) for match in STATE.finditer(text)]
    if not states:
        return text
    file = path.with_suffix(".widgets.js")
    file.write_text("bookWidgets(" + ",\n".join(states) + ");\n", encoding="utf-8")
    tag = f'<meta name="widget-state" content="{file.name}" />'
    return STATE.sub("", text).replace("<title>", f"{tag}\n    <title>", 1)


def _with_files(state: str, root: Path, up: str) -> str:
    """A state whose large values are named instead of held."""
    if len(state) < LARGE:
        return state
    saved = json.loads(state)
    for entry in saved["state"].values():
        large = [b for b in entry.get("buffers", []) if len(b["data"]) >= LARGE]
        for buffer in large:
            (name,) = buffer["path"]  # a trait of the explorable itself
            entry["state"][name] = _write(buffer, root, up)
            entry["buffers"].remove(buffer)
    return json.dumps(saved)


def _write(buffer: dict[str, Any], root: Path, up: str) -> dict[str, str]:
    """Write one value in both forms; return where it is, as the page's runtime wants to know it."""
    data = base64.b64decode(buffer["data"])
    name = hashlib.sha256(data).hexdigest()[:12]
    packed = gzip.compress(data, mtime=0)
    file = root / MODELS / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_suffix(".bin").write_bytes(packed)
    script = f'bookBytes("{name}", "{base64.b64encode(packed).decode()}");\n'
    file.with_suffix(".js").write_text(script, encoding="utf-8")
    return {"bookBytes": name, "file": f"{up}{MODELS}/{name}"}
