"""Outputs for texts of different lengths in one batch, which equal those of single texts."""

import pytest
import torch

from trainer.core.spec import DataSpec
from trainer.model.attention import SelfAttention
from trainer.model.layers.sequence_masking import count_tokens, make_length_mask, pool
from trainer.model.lstm import LSTM

TEXTS = DataSpec("texts", "tokens", (12,), "classification", 1, ("bad", "good"), vocabulary_size=20)
LENGTHS = (7, 1, 4, 6, 0)  # the longest text fills the batch; the last one is empty
RECURRENT = [
    {"cell": cell, "pooling": pooling, "bidirectional": bidirectional, "layers": layers}
    for cell in ("lstm", "gru", "rnn")
    for pooling in ("last", "mean", "max")
    for bidirectional in (False, True)
    for layers in (1, 2)
]
ATTENTION = [
    {"pooling": pooling, "positional_encoding": positional_encoding, "layers": layers}
    for pooling in ("mean", "max", "first")
    for positional_encoding in ("sinusoidal", "learned", "none")
    for layers in (1, 2)
]


def texts():
    """Return tokens from 1 to 19, with padding after each text."""
    tokens = torch.randint(1, 20, (len(LENGTHS), max(LENGTHS)), generator=torch.Generator().manual_seed(1))
    return tokens * make_length_mask(torch.tensor(LENGTHS), max(LENGTHS))


def network(settings):
    torch.manual_seed(2)
    if "cell" in settings:
        return LSTM(TEXTS, embedding=6, hidden=4, **settings).eval()
    return SelfAttention(TEXTS, width=8, heads=2, feed_forward=12, **settings).eval()


@pytest.mark.parametrize(
    "settings", [*RECURRENT, *ATTENTION], ids=lambda settings: "-".join(map(str, settings.values()))
)
def test_padding_and_other_texts_do_not_change_outputs(settings):
    net, tokens = network(settings), texts()
    outputs = net(tokens)
    assert outputs.isfinite().all()
    assert outputs.std() > 1e-3  # they are not constant
    wider = torch.cat([tokens, torch.zeros(len(LENGTHS), 5, dtype=torch.long)], 1)
    assert torch.allclose(net(wider), outputs, rtol=0, atol=1e-6)
    for text, length, output in zip(tokens, LENGTHS, outputs, strict=True):
        single = net(text[None, : max(length, 1)])
        assert torch.allclose(single[0], output, rtol=0, atol=1e-6)


@pytest.mark.parametrize("settings", [RECURRENT[3], ATTENTION[0]])
def test_the_vector_of_padding_is_zero_and_not_trained(settings):
    net = network(settings)
    assert not net.embedding.weight[0].any()
    net(texts()).sum().backward()
    assert not net.embedding.weight.grad[0].any()
    assert net.embedding.weight.grad[texts()[0]].any(1).all()


def test_tokens_are_counted_and_an_empty_text_has_one():
    assert count_tokens(texts()).tolist() == [7, 1, 4, 6, 1]
    assert make_length_mask(torch.tensor([1, 3]), 3).tolist() == [[True, False, False], [True, True, True]]


def test_pooling_excludes_padding():
    states = torch.tensor([[[1.0, -5.0], [3.0, -7.0], [100.0, 100.0]]])
    mask = torch.tensor([[True, True, False]])
    assert pool(states, mask, "mean").tolist() == [[2.0, -6.0]]
    assert pool(states, mask, "max").tolist() == [[3.0, -5.0]]
    assert pool(states, None, "max").tolist() == [[100.0, 100.0]]
    assert pool(states[:, :2], None, "mean").tolist() == [[2.0, -6.0]]
