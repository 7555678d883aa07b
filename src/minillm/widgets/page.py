"""An explorable as a page of its own: one file, no server, no kernel, no other site."""

from __future__ import annotations

import html
import json

from minillm.widgets.base import Explorable

MAX_PAGE = 10_000_000  # characters of data that a browser opens from a file without delay
TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font-family: system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
{style}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<div id="view">{fallback}</div>
</main>
<script type="application/json" id="state">{state}</script>
<script type="application/json" id="module">{module}</script>
<script type="module">
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const state = read("state"), calls = new Map();
const emit = (name, ...args) => {{ for (const call of calls.get(name) ?? []) call(...args); }};
const model = {{
  get: (name) => state[name],
  set(name, value) {{
    state[name] = value;
    emit(`change:${{name}}`, model, value);
    emit("change", model);
  }},
  on(names, call) {{
    for (const n of names.split(" ")) calls.set(n, [...(calls.get(n) ?? []), call]);
  }},
  off(name) {{ calls.delete(name); }},
  save_changes() {{}},
}};
const url = URL.createObjectURL(new Blob([read("module")], {{ type: "text/javascript" }}));
const widget = (await import(url)).default;
const el = document.getElementById("view");
el.replaceChildren();
await widget.render({{ model, el }});
</script>
</body>
</html>
"""


def standalone_page(view: Explorable, *, title: str) -> str:
    """Return the HTML of a page that shows one explorable and works from a local file.

    Args:
        view: the explorable, as it stands.
        title: heading and title of the page.

    Book: chapter "Many heads, masks and maps".
    """
    own = {name: getattr(view, name) for name in view.traits(sync=True) if name[0] != "_"}
    state = {name: value for name, value in own.items() if _is_json(value)}
    return TEMPLATE.format(
        title=html.escape(title),
        style=view._css,
        fallback=view.fallback().html(),
        state=_script(state),
        module=_script(view._esm),
    )


def _is_json(value: object) -> bool:
    return isinstance(value, str | int | float | bool | list | dict | None)


def _script(value: object) -> str:
    """JSON that cannot end the script element that it stands in."""
    return json.dumps(value).replace("<", "\\u003c")
