from typing import Any

import bm25s
import numpy as np
import pytest

from minillm import BM25, mean_reciprocal_rank, recall_at_k, reciprocal_rank_fusion
from minillm.corpora import book_passages
from minillm.inference.retrieval import words

PASSAGES = book_passages()
DOCUMENTS = [words(passage.text) for passage in PASSAGES]


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.4), (2.0, 1.0), (1.2, 0.0)])
def test_scores_are_those_of_bm25s(k1: float, b: float) -> None:
    ours = BM25(DOCUMENTS, k1=k1, b=b)
    theirs = bm25s.BM25(k1=k1, b=b, method="lucene")
    theirs.index(DOCUMENTS, show_progress=False)
    queries = [words(p.question) for p in PASSAGES if p.question] + [["token", "the", "token"]]
    for query in queries:
        np.testing.assert_allclose(ours.scores(query), theirs.get_scores(query), atol=1e-5)


def test_a_word_that_no_document_has_scores_nothing_and_weighs_most() -> None:
    index = BM25([["a", "b"], ["a"]])
    assert index.scores(["z"]) == [0.0, 0.0]
    assert index.idf("z") > index.idf("b") > index.idf("a") > 0


def test_a_word_twice_in_the_query_counts_twice() -> None:
    index = BM25([["a", "b"], ["a"]])
    assert index.scores(["b", "b"])[0] == pytest.approx(2 * index.scores(["b"])[0])


def test_empty_documents_and_queries_are_no_error() -> None:
    assert BM25([[], []]).scores(["a"]) == [0.0, 0.0]
    assert BM25([["a"]]).scores([]) == [0.0]
    assert BM25([["a"]]).coverage([], 0) == 0.0


def test_coverage_is_the_share_of_idf() -> None:
    index = BM25([["a", "b"], ["a"], ["a"]])
    assert index.coverage(["a", "b"], 0) == pytest.approx(1.0)
    share = index.idf("a") / (index.idf("a") + index.idf("b"))
    assert index.coverage(["a", "b", "b"], 1) == pytest.approx(share)


def test_fusion_prefers_what_both_have_near_the_top() -> None:
    assert reciprocal_rank_fusion([[0, 1, 2, 3], [3, 1, 2, 0]], k=0)[:2] == [0, 3]
    assert reciprocal_rank_fusion([[0, 1, 2, 3], [3, 1, 2, 0]], k=0) == [0, 3, 1, 2]
    assert reciprocal_rank_fusion([[0, 1], [1]]) == [1, 0]
    assert reciprocal_rank_fusion([[5, 4]]) == [5, 4]


def test_figures_by_hand() -> None:
    assert recall_at_k([1, 2, 11], 1) == pytest.approx(1 / 3)
    assert recall_at_k([1, 2, 11], 10) == pytest.approx(2 / 3)
    assert mean_reciprocal_rank([1, 2, 10]) == pytest.approx(1.6 / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BM25([]), "got 0 of them"),
        (lambda: BM25(["a text"]), "lists of words"),
        (lambda: BM25([["a"]], k1=-1), "k1=-1"),
        (lambda: BM25([["a"]], k1=float("nan")), "k1=nan"),
        (lambda: BM25([["a"]], b=1.5), r"b=1\.5"),
        (lambda: BM25([["a"]]).scores("a text"), "list of words"),
        (lambda: BM25([["a"]]).coverage(["a"], 1), "document 1 is not one of 1"),
        (lambda: reciprocal_rank_fusion([]), "0 rankings"),
        (lambda: reciprocal_rank_fusion([[1, 1]]), "ranking of 2 has 1"),
        (lambda: reciprocal_rank_fusion([[1]], k=-1), "k=-1"),
        (lambda: recall_at_k([], 1), "0 places"),
        (lambda: recall_at_k([0], 1), "lowest 0"),
        (lambda: recall_at_k([1], 0), "k=0"),
        (lambda: mean_reciprocal_rank([]), "0 places"),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
