"""Where things are in this repository, and what its two settings files say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
HTML = BUILD / "html"
CACHE = BUILD / ".jupyter_cache"


def settings(root: Path = ROOT) -> dict[str, Any]:
    """The content of ``_config.yml``."""
    return dict(yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8")))


def repository_url(root: Path = ROOT) -> str:
    """The repository's address, which stands in ``_config.yml`` alone."""
    return str(settings(root)["repository"]["url"]).rstrip("/")


def site_url(root: Path = ROOT) -> str:
    """Where GitHub Pages publishes the book of that repository.

    Raises:
        ValueError: the address is not of the form ``https://github.com/owner/name``.
    """
    parts = repository_url(root).split("/")
    if len(parts) != 5 or parts[2] != "github.com":
        raise ValueError(
            f"_config.yml: repository.url {repository_url(root)!r} is not on github.com"
        )
    return f"https://{parts[3]}.github.io/{parts[4]}"


def _source(root: Path, stem: str) -> Path:
    for suffix in (".ipynb", ".md"):
        if (path := root / (stem + suffix)).exists():
            return path
    raise FileNotFoundError(f"_toc.yml lists {stem}, but neither {stem}.ipynb nor {stem}.md exists")


def pages(root: Path = ROOT, *, skip_missing: bool = False) -> list[Path]:
    """Every page of the book in reading order, the root page first.

    Raises:
        FileNotFoundError: a page is listed but does not exist, unless those are to be skipped.
    """
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    listed = [toc["root"], *(entry["file"] for part in toc["parts"] for entry in part["chapters"])]
    if skip_missing:
        listed = [stem for stem in listed if list(root.glob(stem + ".*"))]
    return [_source(root, stem) for stem in listed]


def chapters(root: Path = ROOT) -> list[Path]:
    """The notebooks of the book in reading order."""
    return [page for page in pages(root) if page.suffix == ".ipynb"]
