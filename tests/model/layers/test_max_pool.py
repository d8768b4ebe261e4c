"""Max-pooling: PyTorch's numbers to the last bit, by two calls where no gradients are wanted."""

import pytest
import torch
from torch import nn

from trainer.core.spec import DataSpec
from trainer.model.cnn import CNN
from trainer.model.layers import max_pool
from trainer.model.layers.max_pool import FEWEST, MaxPool2d

SIDE = 16


@pytest.fixture
def quick(monkeypatch):
    """The images that were pooled without PyTorch's own pooling, two calls for each."""
    seen, maximum = [], torch.maximum
    monkeypatch.setattr(torch, "maximum", lambda *given: (seen.append(given), maximum(*given))[1])
    return seen


def images(*shape, layout=torch.channels_last, kind=torch.float32):
    return torch.randn(shape).to(kind).contiguous(memory_format=layout)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("size", [(28, 28), (27, 28), (28, 27), (5, 3), (2, 2)])
@pytest.mark.parametrize("channels", [1, 6, 32])
def test_without_gradients_numbers_and_layout_are_those_of_pytorchs(channels, size, layout, kind, quick, monkeypatch):
    monkeypatch.setattr(max_pool, "FEWEST", 1)
    given = images(4, channels, *size, layout=layout, kind=kind)
    ours, usual = MaxPool2d()(given), nn.MaxPool2d(2)(given)
    assert len(quick) == 2
    assert torch.equal(ours, usual)
    assert ours.stride() == usual.stride()


def test_what_is_no_number_stays_none(quick):
    given = images(FEWEST // SIDE**2, 1, SIDE, SIDE)
    given[0, 0, 3, 5] = torch.nan
    ours, usual = MaxPool2d()(given), nn.MaxPool2d(2)(given)
    assert quick
    assert ours[0, 0, 1, 2].isnan()
    assert torch.equal(ours.nan_to_num(9), usual.nan_to_num(9))


@pytest.mark.parametrize("way", ["few", "gradients", "compiled", "traced", "transformed"])
@pytest.mark.filterwarnings("ignore:.*jit.trace")
def test_anything_else_is_pytorchs_own(way, quick, monkeypatch):
    given = images(FEWEST // SIDE**2, 1, SIDE, SIDE)
    if way == "few":
        given = given[:-1]
    else:
        monkeypatch.setattr(max_pool, "FEWEST", 1)
    given.requires_grad_(way == "gradients")
    calls = {
        "compiled": lambda one: torch.compile(one, backend="eager", fullgraph=True)(given),
        "traced": lambda one: torch.jit.trace(one, given, check_trace=False)(given),
        "transformed": lambda one: torch.func.vmap(one)(given[:, None]),
    }
    call = calls.get(way, lambda one: one(given))
    assert torch.equal(call(MaxPool2d()), call(nn.MaxPool2d(2)))
    assert not quick


def test_a_network_says_the_same_with_gradients_and_without_and_is_exported_as_ever(quick):
    spec = DataSpec("pictures", "image", (3, 32, 32), "classes", 3, tuple("abc"))
    net, given = CNN(spec).eval(), images(16, 3, 32, 32)
    with torch.no_grad():
        without = net(given)
    assert len(quick) == 4  # of two blocks
    assert torch.equal(net(given), without)
    exported = torch.export.export(net, (given,))
    assert "maximum" not in str(exported.graph)
    assert len(quick) == 4
