"""Occlusion of words against the formula of a bag of words."""

from math import exp

import pytest
import torch

from trainer.core.spec import DataSpec
from trainer.inference.attribution.word_occlusion import Word, find_words, occlude_words
from trainer.model.bag import Bag
from trainer.model.layers.ngram_embedding import NgramEmbedding, find_ngram_rows

TEXTS = DataSpec("texts", "tokens", (4,), "classification", 1, vocabulary_size=5)
UNKNOWN, GOOD, BAD, FILM = range(1, 5)


def sigmoid(value):
    return 1 / (1 + exp(-value))


@pytest.fixture
def net():
    """Return a bag of single words with the values 0, 2, -1 and 0.5, whose output is their mean."""
    bag = Bag(TEXTS, ngrams=1, embedding=1).eval()
    bag.embedding.weight.data = torch.tensor([[0.0], [0.0], [2.0], [-1.0], [0.5]])
    bag.head[0].weight.data = torch.ones(1, 1)
    bag.head[0].bias.data = torch.zeros(1)
    return bag


@torch.no_grad()
def test_the_decrease_of_a_word_is_that_of_the_mean_without_it(net):
    tokens = torch.tensor([GOOD, BAD, FILM])
    words = find_words(["good", "bad", "film"], "words")
    actual = occlude_words(net, tokens, words, lambda outputs: outputs[:, 0].sigmoid())
    before = sigmoid((2 - 1 + 0.5) / 3)
    without = [(0 - 1 + 0.5) / 3, (2 + 0 + 0.5) / 3, (2 - 1 + 0) / 3]  # the unknown token has the value 0
    assert actual.tolist() == pytest.approx([before - sigmoid(value) for value in without], abs=1e-6)
    assert tokens.tolist() == [GOOD, BAD, FILM]


@torch.no_grad()
def test_the_unknown_word_has_no_effect(net):
    tokens = torch.tensor([GOOD, UNKNOWN])
    actual = occlude_words(net, tokens, find_words(["good", "?"], "words"), lambda outputs: outputs[:, 0])
    assert actual.tolist() == [1.0, 0.0]


@torch.no_grad()
def test_a_word_that_is_occluded_is_also_replaced_in_its_pairs():
    embedding = NgramEmbedding(5, 1, ngrams=2, buckets=1000)
    embedding.weight.data = torch.zeros(1005, 1)
    values = {(GOOD, BAD): 4.0, (GOOD, UNKNOWN): 1.0, (UNKNOWN, BAD): -2.0, (BAD, FILM): 8.0}
    for pair, value in values.items():
        _, rows = find_ngram_rows(torch.tensor([pair]), 2, first_bucket=5, buckets=1000)
        embedding.weight[rows[0, 0]] = value
    words = find_words(["good", "bad", "film"], "words")
    actual = occlude_words(embedding, torch.tensor([GOOD, BAD, FILM]), words, lambda outputs: outputs.sum((1, 2)))
    # with all words 4 + 8; then -2 + 8, 1 + 0 and 4 + 0
    assert actual.tolist() == [6.0, 11.0, 8.0]


@torch.no_grad()
def test_all_tokens_of_a_word_are_replaced_together(net):
    tokens = torch.tensor([GOOD, BAD, FILM])
    words = find_words(["go", "##od", "film"], "subwords")
    assert words == [Word("good", (0, 1)), Word("film", (2,))]
    actual = occlude_words(net, tokens, words, lambda outputs: outputs[:, 0])
    # once the set {unknown, film}: (0 + 0.5) / 2
    assert actual.tolist() == pytest.approx([0.5 - 0.25, 0.5 - 1 / 3])


def test_subwords_are_joined_only_in_texts_of_subwords():
    assert [word.text for word in find_words(["##a", "b"], "words")] == ["##a", "b"]
    assert [word.text for word in find_words(["##a", "b", "##c", "##d"], "subwords")] == ["##a", "bcd"]
