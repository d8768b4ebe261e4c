"""Copies of checkpoints, which have equal values and share no memory with the original."""

import torch
from torch import nn

from trainer.training.loop.training_state import copy_checkpoint


class CallbackState:
    """Object that a callback may have stored."""

    def __init__(self):
        self.numbers = [1, 2]


def test_a_copy_does_not_change_with_the_original():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    rows = torch.arange(6.0).reshape(2, 3).T
    state = CallbackState()
    original = {
        "net": net.state_dict(),
        "list": [1, ("two", [3.0, None])],
        "rows": rows,
        "state": state,
        4: {5},
        "none": {},
    }
    copied = copy_checkpoint(original)
    with torch.no_grad():
        net[0].weight.zero_()
        rows.zero_()
    original["list"][1][1].append(6)
    state.numbers.append(3)
    original[4].add(6)
    original["none"]["new"] = 1
    assert copied["list"] == [1, ("two", [3.0, None])]
    assert copied["rows"].tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    assert copied["rows"].stride() == rows.stride()
    assert copied["state"].numbers == [1, 2]
    assert (copied[4], copied["none"]) == ({5}, {})
    assert copied["net"]["0.weight"].abs().sum() > 0
    assert copied["net"]._metadata == net.state_dict()._metadata
    assert list(copied) == list(original)


def test_copies_of_shared_weights_are_shared():
    weight = torch.ones(2, 2)
    copied = copy_checkpoint({"a": weight.detach(), "b": [weight.detach()], "turned": weight.T, "first": weight[0]})
    copied["a"].zero_()
    assert copied["b"][0].sum() == 0
    assert weight.sum() == 4
    assert copied["first"].sum() == 2
