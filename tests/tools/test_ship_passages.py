from minillm.corpora import book_passages
from tools.ship_passages import passages, plain


def test_nine_tenths_of_the_shipped_passages_still_stand_in_the_book() -> None:
    today = {row["text"] for row in passages()}
    shipped = [passage.text for passage in book_passages()]
    kept = sum(text in today for text in shipped) / len(shipped)
    assert kept >= 0.9, f"only {kept:.0%}: run python -m tools.ship_passages and the experiment"


def test_each_kind_of_passage_is_there() -> None:
    wheres = [passage.where for passage in book_passages()]
    assert sum(where.startswith("Glossary, ") for where in wheres) > 200
    assert sum(where.endswith(", Summary") for where in wheres) > 80
    assert all(bool(p.question) == p.where.endswith(", Self-check") for p in book_passages())
    assert len(set(book_passages())) == len(wheres)


def test_nothing_of_the_markup_is_left() -> None:
    for passage in book_passages():
        assert not any(sign in passage.text for sign in ("{term}", "{cite", "{doc}", ":::", "```"))


def test_plain_keeps_the_words() -> None:
    assert (
        plain("See {doc}`the block <../x/y>` and [this](https://a.b).") == "See the block and this."
    )
