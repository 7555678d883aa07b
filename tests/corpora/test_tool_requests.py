"""The requests for tools: enough of each kind, none twice, and every key is a valid input."""

from collections import Counter

from minillm.corpora import book_passages
from minillm.corpora.tool_requests import EXAMPLES, TODAY, tool_requests
from minillm.inference.patterns import matches
from minillm.inference.toolbox import book_search, calculator, calendar


def test_the_parts_are_balanced_and_share_nothing():
    choose, test = tool_requests()
    kinds = ["calculator", "calendar", "search", "none"]
    assert Counter(r.tool for r in choose) == dict.fromkeys(kinds, 10)
    assert Counter(r.tool for r in test) == dict.fromkeys(kinds, 30)
    texts = [r.text for r in (*choose, *test)] + [request for request, _, _ in EXAMPLES]
    assert len(set(texts)) == len(texts)


def test_keys_are_inputs():
    tools = {t.name: t for t in (calculator(), calendar(TODAY))}
    search = book_search([p.text for p in book_passages()])
    values = {}
    for part in tool_requests():
        for r in part:
            if r.tool in tools:
                assert matches(tools[r.tool].pattern, r.key), r
                values[r.text] = tools[r.tool].run(r.key)
            else:
                assert (r.key == "") == (r.tool == "none")
                assert r.tool == "none" or any(
                    word in r.text.lower().replace("-", " ") for word in r.key.split()
                ), r
    assert search.run("perplexity") != "nothing found"
    assert values["What is half of 378?"] == "189"
    assert values["How many eggs are in 9 dozen?"] == "108"
    assert values["Was 1969-07-20 a Sunday?"] == "Sunday, 20 July 1969"
    assert values["How many days until 2026-12-25?"] == "24 days"
    for _, tool, given in EXAMPLES:
        assert tool in {"none", "search"} or matches(tools[tool].pattern, given)
