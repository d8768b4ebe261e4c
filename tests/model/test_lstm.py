"""Recurrent cells compared with explicit loops, pooling of states, and the effect of each option."""

import pytest
import torch
from torch import nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.lstm import CELLS, LSTM

SERIES = DataSpec("series", "sequence", (5, 3), "regression", output_size=2)
TEXTS = DataSpec("texts", "tokens", (12,), "classification", 1, ("bad", "good"), vocabulary_size=20)


def inputs(batch=4, time=5, features=3):
    return torch.randn(batch, time, features, generator=torch.Generator().manual_seed(1))


def tokens(batch=4, time=5):
    return torch.randint(1, 20, (batch, time), generator=torch.Generator().manual_seed(1))


def rnn_step(x, state, w, u, b, c):
    """Elman 1990."""
    return (torch.tanh(w @ x + b + u @ state[0] + c),)


def gru_step(x, state, w, u, b, c):
    """Cho et al. 2014, with the reset gate after the product, as in cuDNN."""
    h = state[0]
    r, z, n = (w @ x + b).chunk(3)
    hr, hz, hn = (u @ h + c).chunk(3)
    reset, update = torch.sigmoid(r + hr), torch.sigmoid(z + hz)
    return ((1 - update) * torch.tanh(n + reset * hn) + update * h,)


def lstm_step(x, state, w, u, b, c):
    """Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000."""
    h, memory = state
    i, f, g, o = (w @ x + b + u @ h + c).chunk(4)
    memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(memory), memory


STEPS = {"rnn": rnn_step, "gru": gru_step, "lstm": lstm_step}


def read(cell, net, sequence, layer=0, *, backward=False):
    """Compute the states of one layer in one direction: (time, features) -> (time, hidden)."""
    cells = net.recurrent[layer].directions[backward]
    weights = [getattr(cells, f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    state = (sequence.new_zeros(cells.hidden_size),) * 2
    states = []
    for x in reversed(sequence) if backward else sequence:
        state = STEPS[cell](x, state, *weights)
        states.append(state[0])
    return torch.stack(states[::-1] if backward else states)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", STEPS)
def test_cells_equal_those_of_the_literature(cell, layers):
    net = LSTM(SERIES, cell=cell, hidden=6, layers=layers).double()
    batch = inputs().double()
    for sequence, output in zip(batch, net(batch), strict=True):
        for layer in range(layers):
            sequence = read(cell, net, sequence, layer)
        expected = net.head[0].weight @ sequence[-1] + net.head[0].bias
        assert torch.allclose(output, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", STEPS)
def test_the_last_states_are_those_of_the_last_step_and_backward_of_the_first(cell):
    net = LSTM(SERIES, cell=cell, hidden=4, bidirectional=True).double()
    net.head = nn.Identity()
    batch = inputs().double()
    for sequence, pooling in zip(batch, net(batch), strict=True):
        forward, back = read(cell, net, sequence), read(cell, net, sequence, backward=True)
        assert torch.allclose(pooling, torch.cat([forward[-1], back[0]]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("pooling", "pool"), [("mean", lambda states: states.mean(0)), ("max", lambda states: states.max(0).values)]
)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_mean_and_max_are_taken_over_time(pooling, pool, bidirectional):
    net = LSTM(SERIES, hidden=4, pooling=pooling, bidirectional=bidirectional).double()
    net.head = nn.Identity()
    batch = inputs().double()
    for sequence, output in zip(batch, net(batch), strict=True):
        directions = [read("lstm", net, sequence, backward=backward) for backward in (False, True)[: 1 + bidirectional]]
        assert torch.allclose(output, pool(torch.cat(directions, 1)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_the_head_also_reads_the_mean_of_the_inputs(pooling):
    net = LSTM(SERIES, hidden=4, bidirectional=True, layers=2, pooling=pooling, pool_inputs=True)
    assert net.head[0].in_features == 2 * 4 + 3
    net.head = nn.Identity()
    outputs = net(inputs())
    assert torch.allclose(outputs[:, 8:], inputs().mean(1), rtol=0, atol=1e-6)
    net.pool_inputs = False
    assert torch.equal(net(inputs()), outputs[:, :8])


def test_the_mean_of_the_inputs_is_that_of_the_tokens_without_padding():
    torch.manual_seed(0)
    net = LSTM(TEXTS, embedding=3, hidden=4, ngrams=2, buckets=10, pool_inputs=True)
    nn.init.normal_(net.embedding.weight[1:])
    net.head = nn.Identity()
    texts = tokens()
    texts[1, 2:] = 0
    outputs = net(texts)
    for text, output in zip(texts, outputs, strict=True):
        words = text[text > 0]
        assert torch.allclose(output[4:], net.embedding(words[None])[0].mean(0), rtol=0, atol=1e-6)
        assert torch.allclose(output, net(words[None])[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", STEPS)
def test_bidirectional_layers_equal_those_of_pytorch(cell):
    reference = CELLS[cell](3, 4, 2, batch_first=True, bidirectional=True)
    net = LSTM(SERIES, cell=cell, hidden=4, layers=2, bidirectional=True)
    net.head = nn.Identity()
    for layer in range(2):
        for backward in range(2):
            for name, weights in net.recurrent[layer].directions[backward].named_parameters():
                weights.data = getattr(reference, name.replace("_l0", f"_l{layer}" + "_reverse" * backward))
    states, _ = reference(inputs())
    assert torch.allclose(net(inputs()), torch.cat([states[:, -1, :4], states[:, 0, 4:]], 1), rtol=0, atol=1e-6)


def test_token_vectors_are_initially_small():
    weight = LSTM(TEXTS, embedding=100).embedding.weight
    assert weight.shape == (20, 100)
    assert weight[1:].std().item() == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize("cell", STEPS)
def test_texts_are_read_as_token_vectors(cell):
    net = LSTM(TEXTS, embedding=6, cell=cell, hidden=4).double()
    for text, output in zip(tokens(), net(tokens()), strict=True):
        states = read(cell, net, net.embedding.weight[text])
        assert torch.allclose(output, net.head[0].weight @ states[-1] + net.head[0].bias, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({"cell": "rnn", "hidden": 4}, 46),  # 4 * (3 + 4 + 2), and 4 * 2 + 2
        ({"cell": "gru", "hidden": 4}, 118),  # 3 * 36 and 10
        ({"hidden": 4}, 154),  # 4 * 36 and 10
        ({"hidden": 4, "bidirectional": True}, 306),  # 2 * 144, and 8 * 2 + 2
        ({"hidden": 4, "layers": 2}, 314),  # 144 and 4 * 4 * (4 + 4 + 2), and 10
        ({"hidden": 4, "head": [5, 6]}, 219),  # 144, 4 * 5 + 5, 5 * 6 + 6, 6 * 2 + 2
    ],
)
def test_sizes_depend_on_data_and_settings(settings, parameters):
    net = LSTM(SERIES, **settings)
    assert net(inputs()).shape == (4, 2)
    assert sum(p.numel() for p in net.parameters()) == parameters


@pytest.mark.parametrize("settings", [{}, {"pooling": "mean"}, {"pooling": "max", "bidirectional": True}])
def test_sequences_of_any_length_are_supported(settings):
    net = LSTM(SERIES, **settings)
    assert net(inputs(time=1)).shape == net(inputs(time=40)).shape == (4, 2)


def test_the_order_of_the_layers_of_the_head():
    net = LSTM(SERIES, head=[6], activation="tanh", dropout=0.5)
    assert [type(layer).__name__ for layer in net.head] == ["Dropout", "Linear", "Tanh", "Dropout", "Linear"]
    assert [type(layer).__name__ for layer in LSTM(SERIES).head] == ["Linear"]


def test_dropout_before_the_output_is_only_active_in_training():
    net = LSTM(SERIES, hidden=400, dropout=0.25)
    assert 60 <= int((net.head[0](torch.ones(1, 400)) == 0).sum()) <= 140
    net.eval()
    assert torch.equal(net(inputs()), net(inputs()))


@pytest.mark.parametrize(("spec", "layers", "between"), [(SERIES, 1, []), (SERIES, 3, [8, 8]), (TEXTS, 2, [6, 8])])
def test_dropout_is_applied_to_the_embedding_and_between_layers(spec, layers, between):
    net = LSTM(spec, embedding=6, hidden=4, bidirectional=True, layers=layers, dropout=0.5)
    widths = []
    net.dropout.register_forward_hook(lambda _, inputs, output: widths.append(output.shape[1]))
    net(tokens(5, 3) if spec is TEXTS else inputs())
    assert widths == between


def test_dropout_has_one_mask_for_all_steps_of_a_sequence():
    torch.manual_seed(0)
    dropped = LSTM(TEXTS, dropout=0.5)._drop(torch.ones(4, 7, 50))
    assert torch.equal(dropped, dropped[:, :1].expand(4, 7, 50))
    assert {*dropped.unique().tolist()} == {0.0, 2.0}
    assert len(dropped[:, 0].unique(dim=0)) == 4


@pytest.mark.parametrize(("spec", "batch"), [(SERIES, inputs(9)), (TEXTS, tokens(9))])
def test_word_dropout_drops_whole_words_and_steps_only_in_training(spec, batch):
    torch.manual_seed(0)
    net = LSTM(spec, embedding=3, hidden=4, word_dropout=0.5)
    vectors = []
    net.recurrent[0].register_forward_pre_hook(lambda _, arguments: vectors.append(arguments[0]))
    expected = batch if spec is SERIES else net.embedding(batch)
    net(batch)
    is_dropped = (vectors[0] == 0).all(2)
    assert 0.2 < is_dropped.float().mean() < 0.8
    assert torch.allclose(vectors[0][~is_dropped], 2 * expected[~is_dropped])
    net.eval()(batch)
    assert torch.equal(vectors[1], expected)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("cell", STEPS)
def test_gradients_reach_every_parameter(cell, pooling):
    torch.manual_seed(0)  # with some weights the first state is the maximum everywhere
    net = LSTM(SERIES, cell=cell, hidden=4, layers=2, bidirectional=True, pooling=pooling, head=[5], activation="tanh")
    net(inputs()).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("settings", [{"embedding": 0}, {"hidden": 0}, {"layers": 0}])
def test_sizes_below_1_are_rejected(settings):
    with pytest.raises(UserError, match=r"^model\.net\.embedding, .*hidden and .*layers: must be at least 1$"):
        LSTM(SERIES, **settings)


@pytest.mark.parametrize("kind", ["vector", "image"])
def test_data_without_sequences_are_rejected(kind):
    shape = {"vector": (3,), "image": (1, 4, 4)}[kind]
    with pytest.raises(MismatchError, match=r"^model 'lstm' needs sequences \(time, features\) or tokens"):
        LSTM(DataSpec("other", kind, shape, "classification", 3))
