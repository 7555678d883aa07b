"""Every corpus is the same text on every Python, whatever is installed beside it."""

import gzip
import json
from datetime import date

import pytest

from minillm.corpora import cldr, python_docs, shipped
from minillm.corpora.catalogue import CORPORA, find_corpus
from minillm.results import fingerprint, load

FINGERPRINTS = {
    "python-docs": "36e400dce4cc5487",
    "bible-bbe": "ff62fa3290e66bff",
    "bible-kjv": "17c5832ebebb4fd5",
    "reviews-movies": "6d7735f89e5e9870",
    "reviews-products": "ab9ecd19e81cbee2",
    "reviews-editorials": "fd965f6e01640b22",
    "reviews-tweets": "19f911164433a299",
    "chatterbot-dialogues": "bfed8d8b9284d911",
    "chatterbot-dialogues-zh": "b70175fef5819ec8",
    "verse-pairs": "d2bcc2faf82c91f1",
    "cldr-dates": "08faea47ac54cfe7",
    "geo-facts": "cf1b0bec23cf2217",
    "geo-facts-zh": "5bdfade9ec6bd293",
    "stdlib-functions": "61a1fef15db17a3c",
    "spam-assassin": "e06947588d89443f",
    "stories": "0ff53a20c8ec61d7",
}


def test_each_corpus_of_the_catalogue_has_its_fingerprint():
    assert FINGERPRINTS.keys() == CORPORA.keys()


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_a_corpus_is_the_same_everywhere(name):
    corpus = find_corpus(name)
    parts = [corpus.train, corpus.validation, corpus.test]
    assert fingerprint(json.dumps(parts, ensure_ascii=False, default=vars)) == FINGERPRINTS[name]


def test_the_manual_is_the_one_of_the_stored_results():
    assert load("pretraining_runs", data={"python_docs": python_docs().text})
    assert load("ngram_smoothing", data={"python docs": python_docs().text})


def test_a_shipped_file_is_checked(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "files", lambda _: tmp_path)
    shipped.shipped.cache_clear()
    good = gzip.compress(b"{}")
    for content, message in (
        (good, "has SHA-256 44136fa.*: install minillm again"),
        (good[:-9], "cannot be read .*: install minillm again"),
        (b"no gzip", "cannot be read .*: install minillm again"),
    ):
        (tmp_path / "cldr_names.json.gz").write_bytes(content)
        with pytest.raises(ValueError, match=message):
            shipped.shipped("cldr_names")
    with pytest.raises(ValueError, match=r"no file 'cldr' is shipped; there are .*'cldr_dates'"):
        shipped.shipped("cldr")


def test_licences_lie_beside_the_texts():
    folder = shipped.files(shipped.__name__)
    assert "PYTHON SOFTWARE FOUNDATION LICENSE" in (folder / "LICENSE-PYTHON.txt").read_text(
        "utf-8"
    )
    assert "UNICODE LICENSE V3" in (folder / "LICENSE-UNICODE.txt").read_text("utf-8")
    about = (folder / "README.md").read_text("utf-8")
    files = {path.name for path in folder.iterdir() if path.name.endswith(".gz")}
    assert files == {f"{name}.json.gz" for name in shipped.SHA256}
    assert all(f"`{name}`" in about for name in files)
    assert all(version in about for version in shipped.MADE_WITH.values())


def test_names_and_dates_of_some_languages():
    assert cldr.territories("zh")["FR"] == "法国"
    assert cldr.language_name("ka") == "Georgian"
    assert cldr.format_date(date(2024, 1, 5), cldr.patterns("es")[1], "es") == (
        "viernes, 5 de enero de 2024"
    )
    assert cldr.format_date(date(2024, 1, 5), "dd''MM 'of the' y", "en") == "05'01 of the 2024"


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"language 'sv' is not one of \['ar', 'de'"):
        cldr.territories("sv")
    with pytest.raises(ValueError, match="CLDR has no language 'xx-y'"):
        cldr.language_name("xx-y")
    with pytest.raises(ValueError, match=r"locale 'zh-Hans' is not one of CLDR's 1082.*'zh_Hans'"):
        cldr.patterns("zh-Hans")
    with pytest.raises(ValueError, match=r"locale 'de' has names for \[.*\], not for a field 'QQ'"):
        cldr.format_date(date(2024, 1, 5), "QQ y", "de")
