"""Corpora: splits are fixed and do not leak, repairs hold, cards are complete."""

import re
from collections import defaultdict
from itertools import accumulate

import pytest

from minillm.corpora import TextCorpus, bible, python_docs, reviews, split_of
from minillm.corpora.catalogue import CORPORA, find_corpus, item_text
from minillm.corpora.verses import numbered_verses

DOMAINS = ("movies", "products", "editorials", "tweets")


def everything(corpus):
    return [*corpus.train, *corpus.validation, *corpus.test]


def test_splits_are_fixed_and_of_the_stated_size():
    names = ("for", "async", "import")
    assert [split_of(f"python/{name}") for name in names] == ["train", "validation", "test"]
    parts = [split_of(str(i)) for i in range(20_000)]
    for part, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        assert parts.count(part) / 20_000 == pytest.approx(share, abs=0.01)


def test_python_docs_are_real_and_do_not_leak():
    docs = python_docs()
    assert len(docs.text) > 300_000
    paragraphs = [p.strip() for p in docs.text.split("\n\n")]
    assert len(paragraphs) == len(set(paragraphs))
    parts = "\n\n".join([docs.train, docs.validation, docs.test])
    assert sorted(p.strip() for p in parts.split("\n\n")) == sorted(paragraphs)
    windows = {docs.train[i : i + 50] for i in range(len(docs.train) - 50)}
    for part in (docs.validation, docs.test):
        assert len(part) > 10_000
        leaked = sum(part[i : i + 50] in windows for i in range(len(part) - 50))
        assert leaked / len(part) < 0.01


@pytest.fixture(scope="module")
def versions():
    return {v: {verse.id: verse.text for verse in everything(bible(v))} for v in ("kjv", "bbe")}


def test_verses_are_where_they_belong(versions):
    kjv, bbe = versions["kjv"], versions["bbe"]
    assert bbe[1001001] == "At the first God made the heaven and the earth."
    assert kjv[43003016].startswith("For God so loved the world")
    assert bbe[43003016].startswith("For God had such love for the world")  # after the offsets slip
    assert bbe[1043001] == "Now the land was in bitter need of food."  # numbered by a mark
    assert kjv[1043001] == "And the famine was sore in the land."
    assert bbe[19051001].startswith("Have pity on me, O God")  # a psalm with a title
    assert bbe[66013001].startswith(
        "And he took his place on the sand of the sea. And I saw a beast"
    )
    assert bbe[23066024].startswith("And they will go out to see the dead bodies")
    assert len(bbe.keys() & kjv.keys()) > 30_500


def test_no_chapter_is_shifted_against_the_other_version(versions):
    kjv, bbe = versions["kjv"], versions["bbe"]

    def words(text):
        return set(re.findall("[a-z]{4,}", text.lower()))

    def alike(i, j):
        a, b = words(bbe[i]), words(kjv[j])
        return len(a & b) / max(1, min(len(a), len(b)))

    scores = defaultdict(lambda: ([], [], []))
    for i in bbe:
        for place, shift in enumerate((0, 1, -1)):
            if i + shift in kjv:
                scores[i // 1000][place].append(alike(i, i + shift))
    assert len(scores) == 1189
    for chapter, by_shift in scores.items():
        right, *wrong = (sum(s) / max(1, len(s)) for s in by_shift)
        assert right > max(wrong), chapter


@pytest.mark.parametrize("version", ["kjv", "bbe"])
def test_verses_are_clean_and_chapters_are_not_torn(version):
    corpus = bible(version)
    parts = (corpus.train, corpus.validation, corpus.test)
    chapters = [{v.id // 1000 for v in part} for part in parts]
    assert sum(map(len, chapters)) == len(set.union(*chapters))
    verses = everything(corpus)
    assert len(corpus) == len(verses) > 30_000
    assert len({v.text.lower() for v in verses}) == len({v.id for v in verses}) == len(verses)
    assert not any(re.search(r"[\\\[\]*+0-9\n’]|  |^\s|\s$", v.text) for v in verses)
    assert [v.id for v in corpus.train] == sorted(v.id for v in corpus.train)
    assert len(corpus.train) / len(corpus) == pytest.approx(0.8, abs=0.02)


def test_both_versions_are_split_alike():
    part = {
        v.id: name for name in ("train", "validation", "test") for v in getattr(bible("kjv"), name)
    }
    for name in ("train", "validation", "test"):
        assert {part.get(v.id, name) for v in getattr(bible("bbe"), name)} == {name}


@pytest.mark.parametrize("domain", DOMAINS)
def test_reviews_are_scored_and_distinct(domain):
    corpus = reviews(domain)
    texts = [re.sub(r"\W+", " ", r.text.lower()).strip() for r in everything(corpus)]
    assert len(texts) == len(set(texts)) == len(corpus) > 3_500
    assert all(-4 <= r.score <= 4 and r.text for r in everything(corpus))
    assert {r.score > 0 for r in corpus.test} == {True, False}
    assert not any(re.search(r"&(amp|lt|gt|quot);", r.text) for r in everything(corpus))
    assert len(corpus.train) / len(corpus) == pytest.approx(0.8, abs=0.06)


def test_movie_reviews_have_the_expected_balance():
    clear = [r for r in everything(reviews("movies")) if abs(r.score) >= 1]
    assert len(clear) == 9_171
    assert sum(r.score > 0 for r in clear) / len(clear) == pytest.approx(0.5, abs=0.02)


def test_unknown_names():
    with pytest.raises(ValueError, match=r"version 'niv' is not one of \['bbe', 'kjv'\]"):
        bible("niv")
    with pytest.raises(ValueError, match="domain 'books' is not one of"):
        reviews("books")


@pytest.mark.parametrize("name", [name for name in CORPORA if name != "stories"])
def test_every_corpus_of_the_catalogue_is_in_three_disjoint_parts(name):
    corpus = find_corpus(name)
    assert corpus is find_corpus(name), "it is made once in a process"
    if isinstance(corpus, TextCorpus):
        assert min(map(len, (corpus.train, corpus.validation, corpus.test))) > 10_000
        return
    parts = [
        {item_text(i) for i in part} for part in (corpus.train, corpus.validation, corpus.test)
    ]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(corpus)
    assert all(parts)


def test_cards_say_everything():
    for corpus in map(find_corpus, CORPORA):
        lines = str(corpus.card).splitlines()
        assert [line.split()[0] for line in lines] == [
            "what",
            "origin",
            "licence",
            "size",
            "split",
            "faults",
        ]
        assert all(len(line) > 20 for line in lines)
    assert f"{len(bible('bbe')):,} verses" in bible("bbe").card.size
    assert f"{len(python_docs().text):,} characters" in python_docs().card.size


def test_marks_and_pieces_of_a_toy_source():
    pieces = {
        9001001: "One.",
        9001005: r"\\1:2\\Two [is] here.",
        9001002: "Second half",
        19003001: r"A title\\",
        19003002: r"\\3:1\\Sing.",
        19003009: "*** gone",
    }
    ends = list(accumulate(map(len, pieces.values())))
    tables = [
        "{" + "".join(f"{i}: {at}, " for i, at in zip(pieces, part, strict=True)) + "}"
        for part in ([0, *ends[:-1]], ends)
    ]
    verses = numbered_verses(f'Bible("""{"".join(pieces.values())}""", {tables[0]}, {tables[1]})')
    assert verses[9001001] == "One."
    assert verses[9001002] == "Two is here. Second half"
    assert verses[19003001] == "Sing."
    assert verses[19003009] == ""
