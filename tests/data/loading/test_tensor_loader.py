"""TensorLoader: each example once, an order of its own, a position that can be saved, shares for several processes."""

import json

import pytest
import torch
from torch import Tensor

from trainer.data.loading.device_placement import loader_near
from trainer.data.loading.split import Split
from trainer.data.loading.tensor_loader import TensorLoader


def double(inputs):
    return inputs * 2


def jitter(inputs, random):
    return inputs + random.uniform(*inputs.shape[1:])


def loader(rows=10, batch_size=3, augment=None, *, shuffle=True, seed=5, **ranks):
    return TensorLoader(
        torch.arange(rows), torch.arange(rows) + 100, batch_size, double, augment, shuffle=shuffle, seed=seed, **ranks
    )


def epoch(batches):
    """The numbers of the examples of one epoch, in order."""
    return torch.cat([targets for _, targets in batches]).sub(100).tolist()


def same(left: list[tuple[Tensor, Tensor]], right: list[tuple[Tensor, Tensor]]) -> bool:
    return len(left) == len(right) and all(
        torch.equal(a, b) for pair in zip(left, right, strict=True) for a, b in zip(*pair, strict=True)
    )


def test_each_example_comes_once_an_epoch():
    batches = list(loader())
    assert [len(targets) for _, targets in batches] == [3, 3, 3, 1]
    assert sorted(epoch(batches)) == list(range(10))


@pytest.mark.parametrize(("rows", "batch_size", "length"), [(10, 3, 4), (9, 3, 3), (2, 3, 1), (1, 1, 1)])
def test_its_length_is_the_number_of_batches(rows, batch_size, length):
    assert len(loader(rows, batch_size)) == length == len(list(loader(rows, batch_size)))


def test_inputs_are_prepared_and_stay_with_their_targets():
    for inputs, targets in loader():
        assert torch.equal(inputs, (targets - 100) * 2)


def test_without_shuffling_the_order_is_that_of_the_data():
    plain = loader(shuffle=False)
    assert [epoch(plain), epoch(plain)] == [list(range(10))] * 2


def test_each_epoch_and_each_seed_has_an_order_of_its_own():
    some = loader(rows=50)
    orders = [epoch(some), epoch(some), epoch(some), epoch(loader(rows=50, seed=6)), list(range(50))]
    assert len({tuple(order) for order in orders}) == 5


def test_the_order_depends_on_seed_and_epoch_alone():
    torch.manual_seed(1)
    first = loader(rows=50)
    before = [epoch(first), epoch(first)]
    torch.manual_seed(2)
    torch.rand(7)
    again = loader(rows=50, batch_size=4, augment=jitter)
    assert [epoch(again), epoch(again)] == before


def test_torchs_global_random_state_is_left_alone():
    state = torch.get_rng_state()
    list(loader(augment=jitter))
    assert torch.equal(torch.get_rng_state(), state)


def test_augmentation_is_the_same_for_the_same_seed_epoch_and_example_whatever_the_batches_are():
    def changed(*how, **ranks):
        some, twice = loader(*how, augment=jitter, **ranks), {}
        for epoch in range(2):
            for inputs, targets in some:
                twice |= {(epoch, row): value for row, value in zip(targets.tolist(), inputs.tolist(), strict=True)}
        return twice

    assert changed(10, 3) == changed(10, 4) == changed(10, 10)
    ranks = [changed(10, 2, rank=rank, world_size=2) for rank in (0, 1)]
    assert ranks[0] | ranks[1] == changed(10, 3)


def test_augmentation_differs_between_examples_epochs_seeds_and_ranks():
    def draws(some):
        return [tuple(inputs.tolist()) for inputs, _ in some]

    def noise(inputs, random):
        return random.uniform(*inputs.shape[1:])

    some, other = loader(9, augment=noise), loader(9, augment=noise, seed=6)
    ranks = [loader(18, augment=noise, rank=rank, world_size=2) for rank in (0, 1)]
    seen = [*draws(some), *draws(some), *draws(other), *draws(ranks[1])]
    assert len(set(seen)) == len(seen) == 12
    assert not set(draws(ranks[0])) & set(draws(ranks[1]))


@pytest.mark.parametrize("given_out", range(12))
def test_a_loader_that_goes_on_from_a_saved_position_gives_the_very_same_batches(given_out):
    uninterrupted, saved, resumed = loader(augment=jitter), loader(augment=jitter), loader(augment=jitter)
    expected = [batch for _ in range(3) for batch in uninterrupted]
    batches = iter([])
    for _ in range(given_out):
        batch = next(batches, None)
        if batch is None:
            batches = iter(saved)
            next(batches)
    resumed.load_state_dict(saved.state_dict())
    epochs = 3 - given_out // 4
    assert same([batch for _ in range(epochs) for batch in resumed], expected[given_out:])


def test_the_state_is_plain_numbers():
    some = loader()
    next(iter(some))
    assert json.dumps(some.state_dict()) == '{"epoch": 0, "position": 1}'
    list(some)
    assert some.state_dict() == {"epoch": 1, "position": 4}


def test_a_resumed_loader_goes_on_with_whole_epochs_afterwards():
    some = loader()
    some.load_state_dict({"epoch": 4, "position": 3})
    assert [len(list(some)), len(list(some)), some.epoch] == [1, 4, 5]


def test_an_iterator_abandoned_early_is_followed_by_the_next_epoch():
    whole, abandoned = loader(), loader()
    epoch(whole)
    next(iter(abandoned))
    assert epoch(abandoned) == epoch(whole)


def test_an_iterator_that_gave_out_nothing_was_no_epoch():
    some = loader()
    iter(some)
    assert epoch(some) == epoch(loader())


@pytest.mark.parametrize("rows", [10, 12])
def test_two_ranks_share_a_training_epoch_without_overlap(rows):
    shares = [epoch(loader(rows, even=True, rank=rank, world_size=2)) for rank in (0, 1)]
    assert sorted(shares[0] + shares[1]) == list(range(rows))
    assert shares != [list(range(0, rows, 2)), list(range(1, rows, 2))]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    ("rows", "world_size", "share", "steps"),
    [(11, 2, 6, 3), (10, 3, 4, 2), (10, 4, 3, 2), (4, 3, 2, 1), (2, 5, 1, 1), (1, 4, 1, 1), (3, 10, 1, 1)],
)
def test_all_ranks_make_the_same_number_of_training_steps(rows, world_size, share, steps, shuffle):
    settings = {"even": True, "shuffle": shuffle, "world_size": world_size}
    ranks = [loader(rows, 2, rank=rank, **settings) for rank in range(world_size)]
    shares = [epoch(one) for one in ranks]
    assert [len(found) for found in shares] == [share] * world_size
    assert [len(one) for one in ranks] == [steps] * world_size
    assert {row for found in shares for row in found} == set(range(rows))


def test_what_ranks_lack_is_taken_from_the_start_of_the_order():
    ranks = [loader(2, shuffle=False, even=True, rank=rank, world_size=5) for rank in range(5)]
    assert [epoch(one) for one in ranks] == [[0], [1], [0], [1], [0]]
    ranks = [loader(10, 9, shuffle=False, even=True, rank=rank, world_size=4) for rank in range(4)]
    assert [epoch(one) for one in ranks] == [[0, 4, 8], [1, 5, 9], [2, 6, 0], [3, 7, 1]]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("rows", "world_size"), [(10, 2), (11, 2), (10, 3), (10, 4), (2, 5)])
def test_ranks_repeat_nothing_unless_told_to_be_even(rows, world_size, shuffle):
    ranks = [loader(rows, 2, shuffle=shuffle, rank=rank, world_size=world_size) for rank in range(world_size)]
    shares = [list(one) for one in ranks]
    assert [len(one) for one in ranks] == [len(share) for share in shares]
    assert all(len(targets) for share in shares for _, targets in share)
    assert sorted(row for share in shares if share for row in epoch(share)) == list(range(rows))


def test_values_become_float32_where_the_device_has_no_float64():
    class Device:
        root_device = torch.device("mps")

    class Process:
        strategy, global_rank, world_size = Device, 0, 1

    values = Split(torch.zeros(4, 1), torch.zeros(4, 1, dtype=torch.float64))
    how = {"batch_size": 2, "prepare": double, "shuffle": False, "seed": 0, "lengths": None}
    assert loader_near(values, Process, **how).targets.dtype == torch.float32
    Device.root_device = torch.device("cpu")
    assert loader_near(values, Process, **how).targets.dtype == torch.float64
