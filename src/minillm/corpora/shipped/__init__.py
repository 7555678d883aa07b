"""Texts that come with the package, because the machine's own differ from place to place.

Python's help topics and the functions of its standard library change with every version of Python,
the names of countries and months with every release of the CLDR. A number in a chapter holds for
one text, so the package brings that text. `README.md` beside this file says where each is from and
under which licence; `python -m tools.ship_corpora` makes the files again, and `python -m
tools.ship_passages` the extract of this book.

Book: chapter "Predicting the next word".
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from functools import cache
from importlib.resources import files
from typing import Any

MADE_WITH = {"python": "3.11.7", "babel": "2.18.0", "CLDR": "47"}
"""The versions from which the files were made."""

SHA256 = {
    "python_manual": "4594d824487ea711258725d3dd158b2a0bfdea6bccd9f358421913684e2dfcfd",
    "stdlib_functions": "09da9750ffb614bdc1db99dfef511fedcd2f884d2939bbdf9cdb51cbbb504234",
    "cldr_dates": "3c79941a829cc151550f70ef2b46213c5e85c36fb5769d8e0f249e22198ca1ba",
    "cldr_names": "efdeace85b3f376a5d34333a82a95e7a9e474eebc05baa4e857fbeb54b0707eb",
    "book_passages": "db29a47454ca2021f2522fb0ee5f188cdf346a70c8abf383b99c49d18ac865dc",
}
"""Of each file the SHA-256 of its contents, unpacked."""


@cache
def shipped(name: str) -> Any:
    """What is in the file of this name, from JSON.

    Args:
        name: a key of `SHA256`.

    Raises:
        ValueError: If there is no such file, or it is not the one that was shipped.

    Book: chapter "Predicting the next word".
    """
    if name not in SHA256:
        raise ValueError(f"no file {name!r} is shipped; there are {sorted(SHA256)}")
    path = files(__name__) / f"{name}.json.gz"
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read ({error}): install minillm again") from error
    if (found := hashlib.sha256(data).hexdigest()) != SHA256[name]:
        raise ValueError(
            f"{path} has SHA-256 {found}, expected {SHA256[name]}: install minillm again"
        )
    return json.loads(data)
