"""TensorLoader: batches of tensors by index, with no Python per example and a position that can be saved."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.core.spec import Batch
from trainer.data.loading.counter_rng import Draws, generator_for
from trainer.data.loading.sampler import batches_at_once, epoch_order, share, shared


class TensorLoader:
    """Iterate over (inputs, targets) in batches; each iteration is one epoch.

    The order of an epoch depends on (seed, epoch) alone and the random changes of an example on (seed, epoch,
    example) alone: neither touches PyTorch's global random state, so epoch 7 is the same however one got there.

    Args:
        inputs, targets: (examples, *shape) as stored, and (examples,) or (examples, values).
        batch_size: Examples a batch; the last batch of an epoch may be smaller.
        prepare: Makes stored inputs into what the network takes, a whole batch at a time.
        augment: Then changes the batch at random, with all its randomness from the draws it is given.
        read: Before that, fetches what stored inputs only name, as of files, into memory: of all batches to come.
        shuffle: Whether each epoch has its own random order.
        lengths: Of each example, where they differ (examples,): those of like length are then read together.
        repeats: How often an epoch goes through the examples, each time in an order of its own.
        even: Whether all processes make equally many steps, as training must; some examples may then come twice.
        seed: Where the randomness of all epochs begins.
        rank, world_size: Which of how many processes this is; each takes every `world_size`-th example.
        device: Where examples are held and batches made; what `read` is given is held in memory all the same.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        batch_size: int,
        prepare: Callable[[Tensor], Tensor],
        augment: Callable[[Tensor, Draws], Tensor] | None = None,
        read: Callable[[Sequence[Tensor]], Iterable[Tensor]] | None = None,
        *,
        shuffle: bool,
        lengths: Tensor | None = None,
        repeats: int = 1,
        even: bool = False,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.prepare, self.augment, self.read, self.device = prepare, augment, read, torch.device(device)
        self.inputs, self.targets = inputs if read else inputs.to(device), targets.to(device)
        self.batch_size, self.shuffle, self.even, self.seed = batch_size, shuffle, even, seed
        self.lengths, self.repeats, self.rank, self.world_size = lengths, repeats, rank, world_size
        self.at_once = 1 if read else batches_at_once(self.inputs, batch_size, lengths)
        self.epoch = self.position = 0  # `position`: batches of this epoch already given out
        self._resumed = False

    def __len__(self) -> int:
        mine = shared(len(self.targets) * self.repeats, self.rank, self.world_size, even=self.even)
        return -(-mine // self.batch_size)  # rounded up

    def __iter__(self) -> Iterator[Batch]:
        # Lightning stops after len(self) batches without exhausting the iterator, so the next epoch begins here
        if self.position and not self._resumed:
            self.epoch, self.position = self.epoch + 1, 0
        self._resumed = False
        order, batches = self._order(), self.at_once
        parts = torch.split(order, batches * self.batch_size)[self.position // batches :] if len(order) else ()
        stored = (self.inputs[rows.to(self.inputs.device)] for rows in parts)
        for part, inputs in zip(parts, self.read([*stored]) if self.read else stored, strict=True):
            rows, prepared = part.to(self.device), self.prepare(inputs.to(self.device, non_blocking=True))
            if self.augment:
                prepared = self.augment(prepared, Draws(rows, self.seed, self.epoch))
            examples, given_out = (prepared, self.targets[rows]), self.position % batches
            for batch in zip(*(torch.split(part, self.batch_size)[given_out:] for part in examples), strict=True):
                self.position += 1
                yield batch

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands; plain numbers, so that a checkpoint with it loads under `weights_only`."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly there; a finished epoch goes on with the next one."""
        self.epoch, self.position = state["epoch"], state["position"]
        self._resumed = self.position < len(self)

    def rows_of(self, batch: int) -> Tensor:
        """The numbers of the examples of a batch of this epoch, in the split."""
        return self._order()[batch * self.batch_size :][: self.batch_size]

    def _order(self) -> Tensor:
        """The rows this process reads in this epoch, in order."""
        random = generator_for("order", self.seed, self.epoch) if self.shuffle else None
        order = epoch_order(len(self.targets), self.batch_size * self.world_size, random, self.lengths, self.repeats)
        return share(order, self.rank, self.world_size, even=self.even)
