"""Bulk: the batches of an epoch, one by one or many in one tensor, are those of the loader and counted alike."""

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from trainer.data import order
from trainer.data.loader import TensorLoader
from trainer.loop.bulk import Bulk

ROWS, SIZE, AT_ONCE = 32, 3, 4  # ten whole batches and a smaller one, made ready by four


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch):
    monkeypatch.setitem(order.BYTES_AT_ONCE, "cpu", AT_ONCE * SIZE * 2 * 8)


def loader():
    inputs = torch.arange(ROWS * 2).view(ROWS, 2)
    return TensorLoader(inputs, torch.arange(ROWS), SIZE, lambda batch: batch + 1, shuffle=True, seed=3)


def told_apart(batches):
    """Of many batches in one tensor, each by itself."""
    inputs, targets = batches
    assert inputs.shape == (len(targets), SIZE, 2)
    assert targets.shape == (len(inputs), SIZE)
    return [*zip(inputs, targets, strict=True)]


def taken(batches, most):
    """All batches: many at a time, one by one where there are not many."""
    found = []
    while True:
        try:
            many = batches.many(most)
        except StopIteration:
            return found
        found += told_apart(many) if many else [next(batches)]


def assert_same(found, meant):
    assert len(found) == len(meant)
    for one, other in zip(found, meant, strict=True):
        assert all(map(torch.equal, one, other))


@pytest.mark.parametrize("most", range(1, 7))
def test_many_at_a_time_are_those_that_come_one_by_one(most):
    some, others = loader(), loader()
    for _ in range(3):
        assert_same(taken(Bulk(some), most), [*others])
    assert some.state_dict() == others.state_dict() == {"epoch": 2, "position": 11}


@pytest.mark.parametrize(
    ("given_out", "most", "many"),
    [
        (0, 9, 4),
        (0, 3, 3),
        (0, 1, 0),
        (1, 9, 3),
        (1, 2, 2),
        (2, 9, 2),
        (3, 9, 0),
        (4, 2, 2),
        (8, 9, 2),
        (9, 9, 0),
        (10, 9, 0),
    ],
)
def test_many_are_the_whole_ones_that_are_at_hand_and_two_at_least(given_out, most, many):
    some, meant = loader(), [*loader()]
    batches = Bulk(some)
    for _ in range(given_out):
        next(batches)
    found = batches.many(most)
    assert (len(found[1]) if found else 0) == many
    assert some.position == given_out + many
    assert_same((told_apart(found) if found else []) + [*batches], meant[given_out:])


def test_a_loader_goes_on_behind_many():
    saved, resumed = loader(), loader()
    Bulk(saved).many(3)
    resumed.load_state_dict(saved.state_dict())
    assert_same(taken(Bulk(resumed), 9), [*loader()][3:])


def test_where_all_were_given_out_there_are_no_more():
    batches = Bulk(loader())
    assert len([*batches]) == 11
    with pytest.raises(StopIteration):
        batches.many(2)


def test_only_of_a_loader_that_makes_several_batches_ready_at_a_time():
    assert isinstance(Bulk.of(loader()), Bulk)
    assert Bulk.of(DataLoader(TensorDataset(torch.arange(4)))) is None
    texts = TensorLoader(
        torch.ones(9, 4), torch.arange(9), 3, lambda batch: batch, shuffle=True, lengths=torch.arange(9), seed=3
    )
    assert Bulk.of(texts) is None
