"""A second pass over an epoch: its batches, and the unchanged next epoch."""

from types import SimpleNamespace

import torch
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from trainer.data.loading.resumable_loader import make_resumable
from trainer.data.loading.second_pass import iter_second_pass
from trainer.data.loading.tensor_loader import TensorLoader

VALUES = torch.arange(10.0)


class CountingSampler(RandomSampler):
    """Random sampler with a state of its own: the number of passes."""

    passes = 0

    def __iter__(self):
        self.passes += 1
        yield from torch.randperm(10).roll(self.passes).tolist()


def make_tensor_loader():
    return TensorLoader(VALUES, VALUES, 4, lambda inputs: inputs, shuffle=True, seed=3)


def make_data_loader():
    trainer = SimpleNamespace(global_rank=0, current_epoch=0)
    data = TensorDataset(VALUES, VALUES)
    return make_resumable(DataLoader(data, 4, sampler=CountingSampler(data)), trainer, seed=3)


def read(batches):
    return [inputs.tolist() for inputs, _ in batches]


def test_the_batches_of_a_tensor_loader_are_the_same():
    loader = make_tensor_loader()
    assert read(loader) == read(iter_second_pass(loader))


def test_a_second_pass_has_all_examples_and_changes_no_later_epoch():
    for make in (make_tensor_loader, make_data_loader):
        expected, actual = make(), make()
        for epoch in range(3):
            assert read(expected) == read(actual)
            state = actual.state_dict()
            batches = read(iter_second_pass(actual))
            assert sorted(value for batch in batches for value in batch) == VALUES.tolist()
            assert actual.state_dict() == state
            if hasattr(actual, "get_epoch"):
                for loader in (expected, actual):
                    loader.get_epoch = lambda number=epoch + 1: number
