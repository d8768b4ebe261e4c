"""Checksums of examples: each value counts, unknown ones are None, and nothing else changes."""

import random
import time
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from trainer.artifacts import example_checksum
from trainer.artifacts.example_checksum import hash_examples

Pair = namedtuple("Pair", "first second")


@dataclass
class Graph:
    """Object with attributes, as those of graph libraries."""

    nodes: torch.Tensor
    name: str


class Examples(list):
    """Data set of given examples."""


def hash_values(*values):
    return hash_examples({"train": DataLoader(Examples(values), batch_size=1)})


VALUES = {
    "tensors": (torch.arange(3), torch.arange(3).int(), torch.arange(3)[:, None], torch.tensor([0, 1, 3])),
    "half precision": (torch.ones(2).bfloat16(), torch.ones(2).half(), torch.zeros(2).half()),
    "scalars": (torch.tensor(1), torch.tensor(2), 1, 2, True, 1.5, None, 1j),
    "arrays": (np.arange(3), np.arange(3.0), np.array([1, "a"], dtype=object), np.array([1, "b"], dtype=object)),
    "texts": ("a", "b", b"a", ["a"], ("a",), {"a"}, {"a", "b"}),
    "nested": ({"x": [1, (2, {"y": 3})]}, {"x": [1, (2, {"y": 4})]}, {"x": [1, (2, {"z": 3})]}),
    "objects": (Graph(torch.ones(2), "a"), Graph(torch.ones(2), "b"), Graph(torch.zeros(2), "a")),
    "named tuples": (Pair(1, 2), Pair(2, 1)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", VALUES)
def test_each_value_and_type_changes_the_checksum(kind):
    hashes = [hash_values(value) for value in VALUES[kind]]
    assert None not in hashes
    assert len({*hashes}) == len(hashes)
    assert hashes[0] == hash_values(VALUES[kind][0])


def test_images_of_pillow():
    image = pytest.importorskip("PIL.Image")
    black, white = (image.new("RGB", (2, 2), color) for color in ("black", "white"))
    assert None not in (hash_values((black, 0)), hash_values((white, 0)))
    assert hash_values((black, 0)) == hash_values((black.copy(), 0)) != hash_values((white, 0))


def test_the_number_of_examples_and_the_stage_count():
    data = TensorDataset(torch.zeros(40, 2))
    loaders = [
        {"train": DataLoader(data)},
        {"val": DataLoader(data)},
        {"train": DataLoader(TensorDataset(torch.zeros(41, 2)))},
        {"train": [DataLoader(data), DataLoader(data)]},
        {"train": {"a": DataLoader(data)}, "val": DataLoader(data)},
    ]
    assert len({hash_examples(part) for part in loaders} - {None}) == len(loaders)
    assert hash_examples(loaders[0]) == hash_examples({"train": DataLoader(data, batch_size=7, shuffle=True)})


class Stream(IterableDataset):
    """Examples without an index."""

    def __iter__(self):
        return iter(range(3))


class OwnGenerator(Examples):
    """Examples with random numbers of an own generator, whose state is that of this process."""

    random = np.random.default_rng()

    def __getitem__(self, index):
        return self.random.random()


class GlobalGenerators(Examples):
    """Examples with random numbers of the global generators."""

    def __getitem__(self, index):
        return torch.rand(1), np.random.rand(), random.random()


class Slow(Examples):
    """Examples that take too long."""

    def __getitem__(self, index):
        time.sleep(0.3)
        return index


class Failing(Examples):
    """Examples that cannot be read."""

    def __getitem__(self, index):
        raise OSError("no such file")


@pytest.mark.parametrize(
    "data", [Stream(), OwnGenerator([1, 2]), Failing([1, 2]), Examples([print]), Examples([object()])]
)
def test_the_checksum_is_unknown(data):
    assert hash_examples({"train": DataLoader(data)}) is None


def test_other_loaders_are_unknown():
    assert hash_examples({"train": [1, 2]}) is None
    assert hash_examples({"train": None}) is None


def test_a_slow_data_set_is_unknown_after_a_second():
    start = time.monotonic()
    assert hash_examples({"train": DataLoader(Slow(range(20)))}) is None
    assert time.monotonic() - start < 2


def test_neither_random_states_nor_the_data_set_change():
    data = GlobalGenerators([1, 2, 3])
    own = OwnGenerator([1])
    before = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())
    state = str(own.random.bit_generator.state)
    assert hash_examples({"train": DataLoader(data)}) == hash_examples({"train": DataLoader(data)}) is not None
    hash_examples({"train": DataLoader(own)})
    after = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert str(own.random.bit_generator.state) == state


def test_other_systems_than_linux_have_no_checksum(monkeypatch):
    monkeypatch.setattr(example_checksum.sys, "platform", "darwin")
    assert hash_values(1) is None
