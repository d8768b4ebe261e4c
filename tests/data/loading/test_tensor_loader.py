"""Batches, order, resumable position and shards of the tensor loader."""

import json

import pytest
import torch
from torch import Tensor

from trainer.data.loading.device_placement import make_loader
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
    """Return the example indices of one epoch, in order."""
    return torch.cat([targets for _, targets in batches]).sub(100).tolist()


def same(first: list[tuple[Tensor, Tensor]], second: list[tuple[Tensor, Tensor]]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a, b) for pair in zip(first, second, strict=True) for a, b in zip(*pair, strict=True)
    )


def test_each_example_comes_once_an_epoch():
    batches = list(loader())
    assert [len(targets) for _, targets in batches] == [3, 3, 3, 1]
    assert sorted(epoch(batches)) == list(range(10))


@pytest.mark.parametrize(("rows", "batch_size", "length"), [(10, 3, 4), (9, 3, 3), (2, 3, 1), (1, 1, 1)])
def test_the_length_is_the_number_of_batches(rows, batch_size, length):
    assert len(loader(rows, batch_size)) == length == len(list(loader(rows, batch_size)))


def test_inputs_are_prepared_and_stay_with_their_targets():
    for inputs, targets in loader():
        assert torch.equal(inputs, (targets - 100) * 2)


def test_without_shuffling_the_order_is_that_of_the_data():
    unshuffled = loader(shuffle=False)
    assert [epoch(unshuffled), epoch(unshuffled)] == [list(range(10))] * 2


def test_each_epoch_and_each_seed_has_its_own_order():
    tensor_loader = loader(rows=50)
    orders = [
        epoch(tensor_loader),
        epoch(tensor_loader),
        epoch(tensor_loader),
        epoch(loader(rows=50, seed=6)),
        list(range(50)),
    ]
    assert len({tuple(order) for order in orders}) == 5


def test_the_order_depends_on_seed_and_epoch_alone():
    torch.manual_seed(1)
    original = loader(rows=50)
    orders = [epoch(original), epoch(original)]
    torch.manual_seed(2)
    torch.rand(7)
    repeated = loader(rows=50, batch_size=4, augment=jitter)
    assert [epoch(repeated), epoch(repeated)] == orders


def test_the_global_random_state_is_not_changed():
    state = torch.get_rng_state()
    list(loader(augment=jitter))
    assert torch.equal(torch.get_rng_state(), state)


def test_augmentation_is_the_same_for_the_same_seed_epoch_and_example_whatever_the_batches_are():
    def changed(*arguments, **ranks):
        tensor_loader, values = loader(*arguments, augment=jitter, **ranks), {}
        for epoch in range(2):
            for inputs, targets in tensor_loader:
                values |= {(epoch, row): value for row, value in zip(targets.tolist(), inputs.tolist(), strict=True)}
        return values

    assert changed(10, 3) == changed(10, 4) == changed(10, 10)
    ranks = [changed(10, 2, rank=rank, world_size=2) for rank in (0, 1)]
    assert ranks[0] | ranks[1] == changed(10, 3)


def test_augmentation_differs_between_examples_epochs_seeds_and_ranks():
    def draws(tensor_loader):
        return [tuple(inputs.tolist()) for inputs, _ in tensor_loader]

    def noise(inputs, random):
        return random.uniform(*inputs.shape[1:])

    tensor_loader, other = loader(9, augment=noise), loader(9, augment=noise, seed=6)
    ranks = [loader(18, augment=noise, rank=rank, world_size=2) for rank in (0, 1)]
    numbers = [*draws(tensor_loader), *draws(tensor_loader), *draws(other), *draws(ranks[1])]
    assert len(set(numbers)) == len(numbers) == 12
    assert not set(draws(ranks[0])) & set(draws(ranks[1]))


@pytest.mark.parametrize("position", range(12))
def test_a_loader_resumed_from_a_saved_position_returns_the_same_batches(position):
    uninterrupted, saved, resumed = loader(augment=jitter), loader(augment=jitter), loader(augment=jitter)
    expected = [batch for _ in range(3) for batch in uninterrupted]
    batches = iter([])
    for _ in range(position):
        batch = next(batches, None)
        if batch is None:
            batches = iter(saved)
            next(batches)
    resumed.load_state_dict(saved.state_dict())
    epochs = 3 - position // 4
    assert same([batch for _ in range(epochs) for batch in resumed], expected[position:])


def test_the_state_is_plain_numbers():
    tensor_loader = loader()
    next(iter(tensor_loader))
    assert json.dumps(tensor_loader.state_dict()) == '{"epoch": 0, "position": 1}'
    list(tensor_loader)
    assert tensor_loader.state_dict() == {"epoch": 1, "position": 4}


def test_a_resumed_loader_continues_with_complete_epochs():
    tensor_loader = loader()
    tensor_loader.load_state_dict({"epoch": 4, "position": 3})
    assert [len(list(tensor_loader)), len(list(tensor_loader)), tensor_loader.epoch] == [1, 4, 5]


def test_an_iterator_abandoned_early_is_followed_by_the_next_epoch():
    complete, abandoned = loader(), loader()
    epoch(complete)
    next(iter(abandoned))
    assert epoch(abandoned) == epoch(complete)


def test_an_unused_iterator_is_not_an_epoch():
    tensor_loader = loader()
    iter(tensor_loader)
    assert epoch(tensor_loader) == epoch(loader())


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
    shares = [epoch(rank_loader) for rank_loader in ranks]
    assert [len(rows_read) for rows_read in shares] == [share] * world_size
    assert [len(rank_loader) for rank_loader in ranks] == [steps] * world_size
    assert {row for rows_read in shares for row in rows_read} == set(range(rows))


def test_missing_examples_are_repeated_from_the_start_of_the_order():
    ranks = [loader(2, shuffle=False, even=True, rank=rank, world_size=5) for rank in range(5)]
    assert [epoch(rank_loader) for rank_loader in ranks] == [[0], [1], [0], [1], [0]]
    ranks = [loader(10, 9, shuffle=False, even=True, rank=rank, world_size=4) for rank in range(4)]
    assert [epoch(rank_loader) for rank_loader in ranks] == [[0, 4, 8], [1, 5, 9], [2, 6, 0], [3, 7, 1]]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("rows", "world_size"), [(10, 2), (11, 2), (10, 3), (10, 4), (2, 5)])
def test_ranks_repeat_nothing_unless_even_is_set(rows, world_size, shuffle):
    ranks = [loader(rows, 2, shuffle=shuffle, rank=rank, world_size=world_size) for rank in range(world_size)]
    shares = [list(rank_loader) for rank_loader in ranks]
    assert [len(rank_loader) for rank_loader in ranks] == [len(share) for share in shares]
    assert all(len(targets) for share in shares for _, targets in share)
    assert sorted(row for share in shares if share for row in epoch(share)) == list(range(rows))


def test_values_become_float32_if_the_device_has_no_float64():
    class Device:
        root_device = torch.device("mps")

    class Process:
        strategy, global_rank, world_size = Device, 0, 1

    values = Split(torch.zeros(4, 1), torch.zeros(4, 1, dtype=torch.float64))
    arguments = {"batch_size": 2, "prepare": double, "shuffle": False, "seed": 0, "lengths": None}
    assert make_loader(values, Process, **arguments).targets.dtype == torch.float32
    Device.root_device = torch.device("cpu")
    assert make_loader(values, Process, **arguments).targets.dtype == torch.float64
