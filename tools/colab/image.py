"""The packages of Colab's image that matter here: read their pins, and say what has changed.

Colab publishes the list of its packages. ``python -m tools.colab.image`` compares ``image.txt``
with it and prints what changed; with ``--write`` it brings ``image.txt`` up to date.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

IMAGE = Path(__file__).with_name("image.txt")
PUBLISHED = "https://raw.githubusercontent.com/googlecolab/backend-info/main/pip-freeze.txt"
FACT = re.compile(r"^# (read|python): (\S+)$", re.MULTILINE)


def normal(name: str) -> str:
    """The name of a package as pip compares it.

    >>> normal("Jupyter_Client")
    'jupyter-client'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """Versions by normal name, from lines like ``numpy==2.1.3``; other lines are passed over."""
    lines = (line.partition("==") for line in text.splitlines() if not line.startswith("#"))
    return {normal(name.strip()): version.strip() for name, mark, version in lines if mark}


@dataclass(frozen=True)
class Image:
    """Colab's image on one day.

    Attributes:
        read: The day on which the list was read.
        python: The version of Python, as in ``3.13``.
        packages: Versions by name.
    """

    read: str
    python: str
    packages: dict[str, str]


def load(path: Path = IMAGE) -> Image:
    """Read the pins.

    Raises:
        ValueError: the file does not say when it was read, or for which Python.
    """
    text = path.read_text(encoding="utf-8")
    facts = dict(FACT.findall(text))
    if missing := {"read", "python"} - facts.keys():
        raise ValueError(f"{path.name} has no line {sorted(missing)}")
    return Image(facts["read"], facts["python"], pins(text))


def changes(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """What has another version now, or is gone, one line each.

    >>> changes({"numpy": "2.1.3", "six": "1.17.0"}, {"numpy": "2.2.0", "pip": "25.0"})
    ['numpy 2.1.3 -> 2.2.0', 'six 1.17.0 -> gone']
    """
    return [
        f"{name} {version} -> {new.get(name, 'gone')}"
        for name, version in old.items()
        if new.get(name) != version
    ]


def updated(text: str, new: dict[str, str], day: str) -> str:
    """The text of ``image.txt`` with the versions of today; what is gone stays as it was."""
    lines = []
    for line in text.splitlines():
        name = line.partition("==")[0]
        known = "==" in line and normal(name) in new
        lines.append(f"{name}=={new[normal(name)]}" if known else line)
    return re.sub(r"^# read: .*$", f"# read: {day}", "\n".join(lines) + "\n", flags=re.MULTILINE)


def published(source: str) -> dict[str, str]:
    """The pins of a list, which is a file or an address."""
    if not source.startswith("https:"):
        return pins(Path(source).read_text(encoding="utf-8"))
    with urllib.request.urlopen(source, timeout=60) as answer:
        return pins(answer.read().decode())


def main(arguments: list[str]) -> int:
    """Print what changed, one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", default=PUBLISHED, help="Colab's list: an address or a file")
    parser.add_argument("--write", action="store_true", help="bring image.txt up to date")
    options = parser.parse_args(arguments)
    image, new = load(), published(options.list)
    new.setdefault("torch", image.packages["torch"])  # is not in the list
    print("\n".join(changes(image.packages, new)))
    if options.write:
        day = datetime.date.today().isoformat()
        IMAGE.write_text(updated(IMAGE.read_text(encoding="utf-8"), new, day), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
