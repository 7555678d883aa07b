"""Make the files of `minillm.corpora.shipped` again: ``python -m tools.ship_corpora``.

They hold what would differ from machine to machine: the help topics and functions of one version
of Python, and what one release of the CLDR says. So this runs with the very versions that
`shipped.MADE_WITH` names; stored results hold for the texts that they make. Prints the SHA-256 of
each file, for `shipped.SHA256`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import pydoc_data.topics
import re
import sys
import sysconfig
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, Literal

import babel
from babel import Locale, dates, languages, localedata, numbers
from babel.core import get_cldr_version, get_global

from minillm.corpora import shipped
from tools.stdlib_functions import functions_of

AT = date(2026, 1, 1)  # currencies change: those of this day count
COMPARED = (
    *("en", "es", "de", "fr", "pl", "tr", "vi", "zh", "ru"),
    *("ar", "el", "ja", "ko", "hi", "th", "ta", "ka", "my"),
)
WIDTHS: dict[int, Literal["abbreviated", "wide", "narrow"]] = {
    3: "abbreviated",
    4: "wide",
    5: "narrow",
}


def main() -> int:
    """Write the files beside the package's sources, or say which versions are needed."""
    here = versions()
    if here != shipped.MADE_WITH:
        print(f"these files are made with {shipped.MADE_WITH}; here are {here}", file=sys.stderr)
        return 1
    for name, content in contents().items():
        data = json.dumps(content, ensure_ascii=False).encode()
        path = Path(shipped.__file__).with_name(f"{name}.json.gz")
        path.write_bytes(gzip.compress(data, 9, mtime=0))
        print(f'    "{name}": "{hashlib.sha256(data).hexdigest()}",')
    return 0


def versions() -> dict[str, str]:
    """What is running this."""
    return {
        "python": sys.version.split()[0],
        "babel": babel.__version__,
        "CLDR": get_cldr_version(),
    }


def contents() -> dict[str, Any]:
    """What each file holds, by the file's name."""
    return {
        "python_manual": pydoc_data.topics.topics,
        "stdlib_functions": list(functions_of(Path(sysconfig.get_paths()["stdlib"]))),
        "cldr_dates": {name: date_words(name) for name in sorted(localedata.locale_identifiers())},
        "cldr_names": names(),
    }


def date_words(locale: str) -> dict[str, Any]:
    """A locale's two patterns of a date, and the names for their fields."""
    found = [dates.get_date_format(style, locale).pattern for style in ("long", "full")]
    fields = " ".join(re.sub(r"'[^']*'", "", pattern) for pattern in found)
    if locale == "en":
        fields += " MMM EEE"  # for the ways in which the corpus writes English
    words: dict[str, Any] = {"patterns": found}
    for match in re.finditer(r"([MLEcG])\1*", fields):
        if match[0] not in {"M", "MM"}:
            words[match[0]] = field_names(match[0], locale)
    return words


def field_names(field: str, locale: str) -> Any:
    """The names of months (M, L) or weekdays (E, c), or the name of our era (G)."""
    width = WIDTHS[max(3, len(field))]
    if field[0] == "G":
        return dates.get_era_names(width, locale)[1]
    context: Literal["format", "stand-alone"] = "format" if field[0] in "ME" else "stand-alone"
    if field[0] in "ML":
        months = dates.get_month_names(width, context, locale)
        return [months[i] for i in range(1, 13)]
    days = dates.get_day_names(width, context, locale)
    return [days[i] for i in range(7)]


def names() -> dict[str, Any]:
    """What the CLDR calls territories, languages, currencies and cities, and some facts."""
    both = {code: Locale(code) for code in ("en", "zh")}
    codes = [c for c in map(str, both["en"].territories) if re.fullmatch("[A-Z]{2}", c)]
    return {
        "territories": {code: dict(Locale(code).territories) for code in COMPARED},
        "languages": {code: dict(locale.languages) for code, locale in both.items()},
        "currencies": {code: dict(locale.currencies) for code, locale in both.items()},
        "cities": {code: cities(locale.time_zones.items()) for code, locale in both.items()},
        "zones": dict(get_global("zone_territories")),
        "currencies_of": {c: numbers.get_territory_currencies(c, AT) for c in codes},
        "official": {c: languages.get_official_languages(c, de_facto=True) for c in codes},
    }


def cities(zones: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """The city of each time zone that has a name of its own."""
    return {zone: row["city"] for zone, row in zones if "city" in row}


if __name__ == "__main__":
    sys.exit(main())
