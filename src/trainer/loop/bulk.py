"""Bulk: the batches of an epoch, many of them in one tensor."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]  # inputs and targets
Loader = Any  # a `TensorLoader`, or another with its `batch_size`, `at_once`, `position` and `ready`


class Bulk(Iterator[Pair]):
    """Gives out the batches that iterating over a loader gives, and keeps its position as that does.

    Args:
        loader: Makes examples ready, of several batches at a time.
    """

    def __init__(self, loader: Loader) -> None:
        self.loader, self.size, self.ready = loader, loader.batch_size, loader.ready()
        self._at = self._of = 0  # batches of the examples at hand that are given out, and that there are
        self._singly: Iterator[Pair] | None = None  # the rest of these batches, where they are given out one by one

    @classmethod
    def of(cls, loader: Loader) -> "Bulk | None":
        """Those of a loader about to begin an epoch; None if it does not make several batches ready at a time."""
        return cls(loader) if getattr(loader, "at_once", 1) > 1 else None

    def __next__(self) -> Pair:
        self._fetch()
        if self._singly is None:
            begin = self._at * self.size
            self._singly = zip(*(torch.split(part[begin:], self.size) for part in self._examples), strict=True)
        self._count(1)
        return next(self._singly)

    def many(self, most: int) -> Pair | None:
        """The next batches, as many of the full size as are at hand; None for less than two.

        Args:
            most: How many at most.

        Shapes:
            returns: inputs (batches, batch_size, *shape), targets (batches, batch_size, ...)
        """
        self._fetch()
        begin, (inputs, targets) = self._at * self.size, self._examples
        batches = min(most, (len(targets) - begin) // self.size)
        if batches < 2:
            return None
        self._count(batches)
        self._singly = None
        own, shape = slice(begin, self._at * self.size), (batches, self.size)
        return inputs[own].view(*shape, *inputs.shape[1:]), targets[own].view(*shape, *targets.shape[1:])

    def _fetch(self) -> None:
        """Have examples at hand of which a batch is not yet given out."""
        if self._at == self._of:
            self._examples, self._at = next(self.ready)
            self._of = -(-len(self._examples[1]) // self.size)  # rounded up
            self._singly = None

    def _count(self, batches: int) -> None:
        self._at += batches
        self.loader.position += batches
