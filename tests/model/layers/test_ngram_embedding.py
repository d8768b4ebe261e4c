"""Rows and vectors of n-grams compared with plain Python, and with those of the bag of n-grams."""

import pytest
import torch
from torch import nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.attention import SelfAttention
from trainer.model.bag import Bag
from trainer.model.layers.ngram_embedding import HASH_FACTOR, HASH_PRIME, NgramEmbedding, find_ngram_rows
from trainer.model.layers.sequence_masking import make_token_embedding
from trainer.model.lstm import LSTM

TEXTS = DataSpec("texts", "tokens", (9,), "classification", 1, ("bad", "good"), vocabulary_size=20)
SERIES = DataSpec("series", "sequence", (5, 3), "regression", output_size=2)
NETS = {
    "lstm": lambda **settings: LSTM(TEXTS, embedding=8, hidden=6, bidirectional=True, **settings),
    "lstm, max": lambda **settings: LSTM(TEXTS, embedding=8, hidden=6, pooling="max", **settings),
    "attention": lambda **settings: SelfAttention(TEXTS, width=8, heads=2, feed_forward=12, **settings),
    "attention, first": lambda **settings: SelfAttention(TEXTS, width=8, heads=2, pooling="first", **settings),
}


@pytest.fixture(params=NETS)
def make_net(request):
    """Return a function that makes a network; its vectors of n-grams are not 0, as after a training."""

    def make(**settings):
        torch.manual_seed(0)
        net = NETS[request.param](**settings)
        with torch.no_grad():
            net.embedding.weight[20:].normal_()
        return net.eval()

    return make


def tokens(batch=30, time=9, vocabulary=20):
    """Return random texts of 1 to `time` words, with padding."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, time + 1, (batch, 1), generator=generator)
    return torch.randint(1, vocabulary, (batch, time), generator=generator) * (torch.arange(time) < lengths)


def find_row(words, first_bucket, buckets):
    """Return the row of one n-gram."""
    if len(words) == 1:
        return words[0]
    value = 0
    for word in words:
        value = (value * HASH_FACTOR + word) % HASH_PRIME
    return first_bucket + value % buckets


def list_ngrams(text, ngrams):
    """Return the n-grams that start at each position of a text without padding."""
    words = [token for token in text.tolist() if token]
    return [
        [words[start : start + size] for size in range(1, ngrams + 1) if start + size <= len(words)]
        for start in range(len(words))
    ]


@pytest.mark.parametrize("ngrams", [1, 2, 3, 5])
def test_rows_are_those_of_the_ngrams_that_start_at_each_position(ngrams):
    columns = find_ngram_rows(tokens(), ngrams, first_bucket=20, buckets=1000)
    assert len(columns) == ngrams
    for text, rows in zip(tokens(), torch.stack(columns, 2).tolist(), strict=True):
        expected = [[find_row(words, 20, 1000) for words in group] for group in list_ngrams(text, ngrams)]
        assert [[row for row in group if row] for group in rows] == expected + [[]] * (9 - len(expected))


def test_the_row_of_a_pair_is_computed_by_hand():
    # 3 * 1,000,003,049 + 7 = 3,000,009,154, minus the prime 2,147,483,647 is 852,525,507; row 100 + 507
    words, pairs = find_ngram_rows(torch.tensor([[3, 7, 0]]), 2, first_bucket=100, buckets=1000)
    assert words.tolist() == [[3, 7, 0]]
    assert pairs.tolist() == [[607, 0, 0]]


@pytest.mark.parametrize("ngrams", [1, 2, 3])
def test_the_rows_of_a_text_are_those_of_the_bag(ngrams):
    rows = torch.cat(find_ngram_rows(tokens(), ngrams, first_bucket=20, buckets=1000), 1)
    for ours, bag in zip(rows, Bag(TEXTS, ngrams=ngrams, buckets=1000).find_rows(tokens()), strict=True):
        assert {*ours.tolist()} - {0} == {*bag.tolist()} - {0}


@pytest.mark.parametrize("ngrams", [2, 3])
def test_the_vector_of_a_position_is_the_sum_of_those_of_its_ngrams(ngrams):
    embedding = NgramEmbedding(20, 6, ngrams, buckets=1000)
    nn.init.normal_(embedding.weight[20:])
    for text, vectors in zip(tokens(), embedding(tokens()), strict=True):
        groups = list_ngrams(text, ngrams)
        for group, vector in zip(groups, vectors, strict=False):
            expected = sum(embedding.weight[find_row(words, 20, 1000)] for words in group)
            assert torch.allclose(vector, expected, rtol=0, atol=1e-6)
        assert not vectors[len(groups) :].any()


def test_single_words_have_the_weights_and_random_numbers_of_the_token_embedding():
    torch.manual_seed(0)
    expected = make_token_embedding(20, 6)
    next_random = torch.rand(1)
    torch.manual_seed(0)
    embedding = NgramEmbedding(20, 6)
    assert torch.equal(embedding.weight, expected.weight)
    assert torch.equal(torch.rand(1), next_random)
    assert torch.equal(embedding(tokens()), expected(tokens()))


def test_vectors_of_ngrams_are_initially_0():
    torch.manual_seed(0)
    embedding = NgramEmbedding(20, 100, 2, buckets=50)
    assert embedding.weight.shape == (70, 100)
    assert embedding.weight[1:20].std().item() == pytest.approx(0.05, rel=0.1)
    assert not embedding.weight[0].any()
    assert not embedding.weight[20:].any()


def test_networks_read_single_words_by_default(make_net):
    net, explicit = make_net(), make_net(ngrams=1, buckets=None)
    assert net.embedding.weight.shape == (20, 8)
    assert [*net.state_dict()] == [*explicit.state_dict()]
    assert torch.equal(net(tokens()), explicit(tokens()))


def test_networks_read_the_vectors_of_ngrams(make_net):
    net = make_net(ngrams=3, buckets=50)
    outputs = net(tokens())
    vectors = net.embedding(tokens())
    net.embedding.forward = lambda _: vectors
    assert torch.equal(net(tokens()), outputs)
    assert net.embedding.weight.shape == (70, 8)


def test_padding_and_other_texts_of_the_batch_do_not_matter(make_net):
    net = make_net(ngrams=3, buckets=50)
    for text, output in zip(tokens(), net(tokens()), strict=True):
        assert torch.allclose(output, net(text[None, : int((text > 0).sum())])[0], rtol=0, atol=1e-5)


def test_gradients_reach_ngrams_but_not_padding(make_net):
    net = make_net(ngrams=2, buckets=50)
    net(tokens()).square().sum().backward()
    gradient = net.embedding.weight.grad
    assert gradient[1:20].any()
    assert gradient[20:].any()
    assert not gradient[0].any()


def test_attention_maps_are_those_of_the_forward_pass_and_0_at_padding():
    torch.manual_seed(0)
    net = NETS["attention"](ngrams=2, buckets=50).eval()
    recorded = []
    net.blocks[0].attention.register_forward_hook(
        lambda layer, inputs, _: recorded.append(layer.attention_weights(*inputs))
    )
    net(tokens())
    maps = net.attention_maps(tokens())
    assert torch.equal(maps[0], recorded[0])
    for text, weights in zip(tokens(), maps[0], strict=True):
        assert not weights[..., text == 0].any()


@pytest.mark.parametrize("settings", [{"ngrams": 0}, {"buckets": 0}])
def test_sizes_below_1_are_rejected(settings, make_net):
    with pytest.raises(UserError, match=r"^model\.net\.ngrams and model\.net\.buckets: must be at least 1$"):
        make_net(**settings)


@pytest.mark.parametrize("spec", [TEXTS, SERIES])
@pytest.mark.parametrize("net", [LSTM, SelfAttention])
def test_buckets_without_ngrams_are_an_error(net, spec):
    with pytest.raises(UserError, match=r"^model\.net\.buckets: has no effect with ngrams=1; expected null"):
        net(spec, buckets=5)


@pytest.mark.parametrize("net", [LSTM, SelfAttention])
def test_ngrams_of_data_that_are_not_texts_are_rejected(net):
    net(SERIES)
    with pytest.raises(MismatchError, match=r"^model\.net\.ngrams: 2 needs texts; expected 1 for data 'series'"):
        net(SERIES, ngrams=2)
