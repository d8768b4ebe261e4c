"""Padding: texts of unequal length in one batch each give what they give alone, whatever the network."""

import pytest
import torch

from trainer.core.spec import DataSpec
from trainer.model.attention import SelfAttention
from trainer.model.layers.sequence_masking import lengths_of, pool, real_steps
from trainer.model.lstm import LSTM

TEXTS = DataSpec("texts", "tokens", (12,), "classes", 1, ("bad", "good"), vocabulary_size=20)
LENGTHS = (7, 1, 4, 6, 0)  # the longest text fills the batch; the last one is empty
RECURRENT = [
    {"cell": cell, "pooled": pooled, "bidirectional": bidirectional, "layers": layers}
    for cell in ("lstm", "gru", "rnn")
    for pooled in ("last", "mean", "max")
    for bidirectional in (False, True)
    for layers in (1, 2)
]
ATTENTIVE = [
    {"pooled": pooled, "positions": positions, "layers": layers}
    for pooled in ("mean", "max", "first")
    for positions in ("sinusoidal", "learned", "none")
    for layers in (1, 2)
]


def texts():
    """Tokens from 1 to 19, and padding behind each text's last one."""
    tokens = torch.randint(1, 20, (len(LENGTHS), max(LENGTHS)), generator=torch.Generator().manual_seed(1))
    return tokens * real_steps(torch.tensor(LENGTHS), max(LENGTHS))


def network(settings):
    torch.manual_seed(2)
    if "cell" in settings:
        return LSTM(TEXTS, embedding=6, hidden=4, **settings).eval()
    return SelfAttention(TEXTS, width=8, heads=2, feed_forward=12, **settings).eval()


@pytest.mark.parametrize(
    "settings", [*RECURRENT, *ATTENTIVE], ids=lambda settings: "-".join(map(str, settings.values()))
)
def test_padding_changes_no_output_and_neither_do_the_other_texts(settings):
    net, tokens = network(settings), texts()
    outputs = net(tokens)
    assert outputs.isfinite().all()
    assert outputs.std() > 1e-3  # it is not that nothing at all changes them
    wider = torch.cat([tokens, torch.zeros(len(LENGTHS), 5, dtype=torch.long)], 1)
    assert torch.allclose(net(wider), outputs, rtol=0, atol=1e-6)
    for text, length, output in zip(tokens, LENGTHS, outputs, strict=True):
        alone = net(text[None, : max(length, 1)])
        assert torch.allclose(alone[0], output, rtol=0, atol=1e-6)


@pytest.mark.parametrize("settings", [RECURRENT[3], ATTENTIVE[0]])
def test_padding_is_nothing_and_learns_nothing(settings):
    net = network(settings)
    assert not net.embedding.weight[0].any()
    net(texts()).sum().backward()
    assert not net.embedding.weight.grad[0].any()
    assert net.embedding.weight.grad[texts()[0]].any(1).all()


def test_lengths_are_counted_and_an_empty_text_has_one_token():
    assert lengths_of(texts()).tolist() == [7, 1, 4, 6, 1]
    assert real_steps(torch.tensor([1, 3]), 3).tolist() == [[True, False, False], [True, True, True]]


def test_pooling_is_by_hand_over_the_real_steps():
    states = torch.tensor([[[1.0, -5.0], [3.0, -7.0], [100.0, 100.0]]])
    real = torch.tensor([[True, True, False]])
    assert pool(states, real, "mean").tolist() == [[2.0, -6.0]]
    assert pool(states, real, "max").tolist() == [[3.0, -5.0]]
    assert pool(states, None, "max").tolist() == [[100.0, 100.0]]
    assert pool(states[:, :2], None, "mean").tolist() == [[2.0, -6.0]]
