"""Loader of tensor batches by index, without Python code per example and with a resumable position."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.core.spec import Batch
from trainer.data.loading.counter_rng import BatchRNG, derive_seed, make_generator
from trainer.data.loading.sampler import compute_batches_per_chunk, sample_epoch_indices, shard, shard_size


@dataclass(eq=False, repr=False)
class TensorLoader:
    """Iterate over batches (inputs, targets); each iteration is one epoch.

    The order depends only on (seed, epoch), and the augmentation of an example only on (seed, epoch, example), not on
    PyTorch's global random state. So an epoch is the same after a resume.

    Args:
        inputs, targets: Stored examples (examples, *shape), and targets (examples,) or (examples, values).
        batch_size: Examples per batch; the last batch of an epoch may be smaller.
        prepare: Converts a batch of stored inputs to network inputs.
        augment: Changes a batch of prepared inputs at random, with all random numbers from its second argument.
        mix: Combines the examples of an augmented batch at random, with all random numbers from its third argument,
            which depend on (seed, epoch, batch).
        read: Reads batches that stored inputs refer to, e.g. by file index, into memory before `prepare`.
        shuffle: Whether each epoch has its own random order.
        lengths: Length of each example (examples,), or None; batches then contain examples of similar length.
        weights: Weight of each example (examples,), or None; examples are then drawn with these probabilities.
        repeats: Number of passes over the examples per epoch, each in its own order.
        even: Whether all processes have equally many batches, as required in training; some examples may be repeated.
        seed: Seed of the order and of the augmentation.
        rank, world_size: Rank and number of processes; each reads every `world_size`-th example.
        device: Device of the examples and batches; inputs of `read` stay in memory.
    """

    inputs: Tensor
    targets: Tensor
    batch_size: int
    prepare: Callable[[Tensor], Tensor]
    augment: Callable[[Tensor, BatchRNG], Tensor] | None = None
    mix: Callable[[Tensor, Tensor, np.random.Generator], Batch] | None = None
    read: Callable[[Sequence[Tensor]], Iterable[Tensor]] | None = None
    _: KW_ONLY
    shuffle: bool
    lengths: Tensor | None = None
    weights: Tensor | None = None
    repeats: int = 1
    even: bool = False
    seed: int
    rank: int = 0
    world_size: int = 1
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        self.device = torch.device(self.device)
        self.inputs = self.inputs if self.read else self.inputs.to(self.device)
        self.targets = self.targets.to(self.device)
        self.batches_per_chunk = (
            1 if self.read else compute_batches_per_chunk(self.inputs, self.batch_size, self.lengths)
        )
        self.epoch = 0
        self.position = 0  # number of batches of this epoch that were yielded
        self._resumed = False

    def __len__(self) -> int:
        size = shard_size(len(self.targets) * self.repeats, self.rank, self.world_size, even=self.even)
        return -(-size // self.batch_size)  # rounded up

    def __iter__(self) -> Iterator[Batch]:
        self.start_epoch()
        order = self.epoch_indices()
        size = self.batches_per_chunk
        chunks = torch.split(order, size * self.batch_size)[self.position // size :] if len(order) else ()
        stored = (self.inputs[rows.to(self.inputs.device)] for rows in chunks)
        for chunk, inputs in zip(chunks, self.read([*stored]) if self.read else stored, strict=True):
            rows = chunk.to(self.device)
            prepared = self.transform(inputs.to(self.device, non_blocking=True), rows)
            start = self.position % size
            input_batches = torch.split(prepared, self.batch_size)[start:]
            target_batches = torch.split(self.targets[rows], self.batch_size)[start:]
            for batch in zip(input_batches, target_batches, strict=True):
                self.position += 1
                yield self.mix(*batch, self._make_mixing_rng()) if self.mix else batch

    def transform(self, inputs: Tensor, rows: Tensor) -> Tensor:
        """Return the network inputs of the stored examples with the indices `rows`, augmented in this epoch."""
        prepared = self.prepare(inputs)
        return self.augment(prepared, BatchRNG(rows, self.seed, self.epoch)) if self.augment else prepared

    def _make_mixing_rng(self) -> np.random.Generator:
        return np.random.default_rng(derive_seed("mix", self.seed, self.epoch, self.position, self.rank))

    def start_epoch(self) -> None:
        """Move to the next epoch if batches of this one were read; stay at a resumed position."""
        # Lightning stops after len(self) batches without exhausting the iterator, so the next epoch starts here
        if self.position and not self._resumed:
            self.epoch += 1
            self.position = 0
        self._resumed = False

    def state_dict(self) -> dict[str, Any]:
        """Return epoch and position; plain numbers, so that a checkpoint loads under `weights_only`."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue at a position; after a finished epoch, continue with the next one."""
        self.epoch = state["epoch"]
        self.position = state["position"]
        self._resumed = self.position < len(self)

    def batch_indices(self, batch: int) -> Tensor:
        """Return the example indices of a batch of this epoch."""
        return self.epoch_indices()[batch * self.batch_size :][: self.batch_size]

    def epoch_indices(self) -> Tensor:
        """Return the indices of the examples of this epoch, in their order."""
        random = make_generator("order", self.seed, self.epoch) if self.shuffle else None
        order = sample_epoch_indices(
            len(self.targets), self.batch_size * self.world_size, random, self.lengths, self.repeats, self.weights
        )
        return shard(order, self.rank, self.world_size, even=self.even)
