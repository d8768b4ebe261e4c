"""A copy of a checkpoint has what the checkpoint had, and nothing in common with it."""

import torch
from torch import nn

from trainer.training.loop.training_state import as_it_is


class Kept:
    """Something that a callback may have put there."""

    def __init__(self):
        self.numbers = [1, 2]


def test_a_copy_stays_as_it_is():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    rows, kept = torch.arange(6.0).reshape(2, 3).T, Kept()
    one = {"net": net.state_dict(), "list": [1, ("two", [3.0, None])], "rows": rows, "kept": kept, 4: {5}, "none": {}}
    copied = as_it_is(one)
    with torch.no_grad():
        net[0].weight.zero_()
        rows.zero_()
    one["list"][1][1].append(6)
    kept.numbers.append(3)
    one[4].add(6)
    one["none"]["new"] = 1
    assert copied["list"] == [1, ("two", [3.0, None])]
    assert copied["rows"].tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    assert copied["rows"].stride() == rows.stride()
    assert copied["kept"].numbers == [1, 2]
    assert (copied[4], copied["none"]) == ({5}, {})
    assert copied["net"]["0.weight"].abs().sum() > 0
    assert copied["net"]._metadata == net.state_dict()._metadata
    assert list(copied) == list(one)


def test_weights_that_are_one_stay_one():
    weight = torch.ones(2, 2)
    copied = as_it_is({"a": weight.detach(), "b": [weight.detach()], "turned": weight.T, "first": weight[0]})
    copied["a"].zero_()
    assert copied["b"][0].sum() == 0
    assert weight.sum() == 4
    assert copied["first"].sum() == 2
