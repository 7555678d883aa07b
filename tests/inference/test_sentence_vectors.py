"""Vectors of texts: of length 1, the same in any batch, and fit to train on."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from minillm import Transformer, WordPieceTokenizer, mean_pool, sentence_vectors
from tests.conftest import BERT, randomise

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "on", "a", "mat"]
TEXTS = ["the cat sat on a mat", "cat", "", "a cat on the mat", "the dog sat"]


@pytest.fixture
def encoder():
    return randomise(Transformer(replace(BERT, vocab_size=len(WORDS), context_length=16)))


@pytest.fixture
def tokenizer():
    return WordPieceTokenizer(WORDS)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_each_text_gets_the_mean_of_its_own_tokens(encoder, tokenizer, batch_size):
    vectors = sentence_vectors(encoder, tokenizer, TEXTS, max_length=16, batch_size=batch_size)
    for vector, text in zip(vectors, TEXTS, strict=True):
        hidden = encoder(torch.tensor([tokenizer.encode(text)]))
        expected = F.normalize(mean_pool(hidden), dim=-1)[0]
        torch.testing.assert_close(vector, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(len(TEXTS)))


def test_long_texts_are_cut_but_end_as_in_training(encoder, tokenizer):
    long, short = "the cat sat on a mat", "the cat"
    vectors = sentence_vectors(encoder, tokenizer, [long, short], max_length=4)
    torch.testing.assert_close(vectors[0], vectors[1])


def test_a_classifier_can_be_trained_on_them(encoder, tokenizer):
    vectors = sentence_vectors(encoder, tokenizer, TEXTS, max_length=16)
    assert not vectors.requires_grad
    head = torch.nn.Linear(48, 2)
    head(vectors).sum().backward()
    torch.testing.assert_close(head.weight.grad, vectors.sum(0).expand(2, -1))


@pytest.mark.parametrize(
    ("texts", "length", "message"),
    [([], 16, "0 texts"), (["a"], 2, "max_length=2"), (["a"], 17, "17, context_length=16")],
)
def test_bad_input(encoder, tokenizer, texts, length, message):
    with pytest.raises(ValueError, match=message):
        sentence_vectors(encoder, tokenizer, texts, max_length=length)


def test_a_single_text_is_no_list_of_letters():
    with pytest.raises(ValueError, match="single text 'hello world'"):
        sentence_vectors(Transformer(BERT), None, "hello world")
