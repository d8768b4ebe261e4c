"""Max-pooling with results equal to PyTorch's."""

import pytest
import torch
from torch import nn

from trainer.core.spec import DataSpec
from trainer.model.cnn import CNN
from trainer.model.layers import max_pool
from trainer.model.layers.max_pool import MIN_ELEMENTS, MaxPool2d

SIDE = 16


@pytest.fixture
def fast_calls(monkeypatch):
    """Arguments of the calls of the fast implementation, two for each pooling."""
    calls, maximum = [], torch.maximum
    monkeypatch.setattr(torch, "maximum", lambda *args: (calls.append(args), maximum(*args))[1])
    return calls


def images(*shape, layout=torch.channels_last, kind=torch.float32):
    return torch.randn(shape).to(kind).contiguous(memory_format=layout)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("size", [(28, 28), (27, 28), (28, 27), (5, 3), (2, 2)])
@pytest.mark.parametrize("channels", [1, 6, 32])
def test_without_gradients_values_and_layout_equal_those_of_pytorch(
    channels, size, layout, kind, fast_calls, monkeypatch
):
    monkeypatch.setattr(max_pool, "MIN_ELEMENTS", 1)
    inputs = images(4, channels, *size, layout=layout, kind=kind)
    ours, expected = MaxPool2d()(inputs), nn.MaxPool2d(2)(inputs)
    assert len(fast_calls) == 2
    assert torch.equal(ours, expected)
    assert ours.stride() == expected.stride()


def test_nan_is_preserved(fast_calls):
    inputs = images(MIN_ELEMENTS // SIDE**2, 1, SIDE, SIDE)
    inputs[0, 0, 3, 5] = torch.nan
    ours, expected = MaxPool2d()(inputs), nn.MaxPool2d(2)(inputs)
    assert fast_calls
    assert ours[0, 0, 1, 2].isnan()
    assert torch.equal(ours.nan_to_num(9), expected.nan_to_num(9))


@pytest.mark.parametrize("case", ["few", "gradients", "compiled", "traced", "transformed"])
@pytest.mark.filterwarnings("ignore:.*jit.trace")
def test_other_cases_use_the_implementation_of_pytorch(case, fast_calls, monkeypatch):
    inputs = images(MIN_ELEMENTS // SIDE**2, 1, SIDE, SIDE)
    if case == "few":
        inputs = inputs[:-1]
    else:
        monkeypatch.setattr(max_pool, "MIN_ELEMENTS", 1)
    inputs.requires_grad_(case == "gradients")
    calls = {
        "compiled": lambda layer: torch.compile(layer, backend="eager", fullgraph=True)(inputs),
        "traced": lambda layer: torch.jit.trace(layer, inputs, check_trace=False)(inputs),
        "transformed": lambda layer: torch.func.vmap(layer)(inputs[:, None]),
    }
    call = calls.get(case, lambda layer: layer(inputs))
    assert torch.equal(call(MaxPool2d()), call(nn.MaxPool2d(2)))
    assert not fast_calls


def test_a_network_has_equal_outputs_without_gradients_and_is_exported(fast_calls):
    spec = DataSpec("pictures", "image", (3, 32, 32), "classification", 3, tuple("abc"))
    net, inputs = CNN(spec).eval(), images(16, 3, 32, 32)
    with torch.no_grad():
        without = net(inputs)
    assert len(fast_calls) == 4  # two blocks
    assert torch.equal(net(inputs), without)
    exported = torch.export.export(net, (inputs,))
    assert "maximum" not in str(exported.graph)
    assert len(fast_calls) == 4
