"""Sampler whose order depends only on (seed, epoch), and that can start at any batch."""

import logging
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count, islice
from typing import Any
from zlib import crc32

import numpy as np
import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch.utils.data import DataLoader

from trainer.data.loading.counter_rng import derive_seed

BATCHES_PER_DRAW = 8  # seeding the global generators takes as long as several draws
PLAIN_TYPES = (int, float, str, bool, type(None))
STANDARD_SAMPLERS = "torch.utils.data."  # modules of samplers that draw all random numbers before their first index

log = logging.getLogger(__name__)


class EpochSampler:
    """Sampler whose order depends only on (seed, epoch), and that can start at any batch.

    Args:
        loader: Loader whose sampler or batch sampler is used.
        seed: Seed of the run.
        rank: Rank of the process; it changes the random numbers of its workers, but not the order.
    """

    def __init__(self, loader: "DataLoader[Any]", *, seed: int, rank: int) -> None:
        self.base: Any = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
        self._samplers = _unique([self.base, loader.sampler, getattr(self.base, "sampler", None)])
        self._custom_samplers = [item for item in self._samplers if not _is_standard(item)]
        self._loader = loader
        self._seed = seed
        self._rank = rank
        self._digests: list[int] = []  # checksums of the indices of this pass up to and including each batch
        self._attributes: list[dict[str, Any]] = []  # of the custom samplers at the start of this pass
        self._restored: dict[str, Any] | None = None  # state to continue from; None after its first batch
        self.epoch = 0
        self.repetition = 0  # number of earlier passes in this epoch, if a shorter loader is repeated
        self.position = 0  # number of batches of this pass that the loader has returned

    def __len__(self) -> int:
        return len(self.base)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # looked up by `copy` before `base` is set
            raise AttributeError(name)
        return getattr(self.base, name)

    def start_pass(self, epoch: int) -> None:
        """Start the next pass over the examples, or continue the restored one."""
        if self._restored is None:
            self.repetition = self.repetition + (self.position > 0) if epoch == self.epoch else 0
            self.epoch = epoch
            self.position = 0
            self._attributes = self.read_attributes()
        else:
            self.restore_attributes(self._restored["attributes"])
        for owner in (self._loader, *self._samplers):
            for value in vars(owner).values():
                _seed_generator(value, self.derive_seed("generator"))

    def __iter__(self) -> Iterator[Any]:
        """Yield the indices of each batch from `position` on."""
        start = self.position
        digest = 0
        self._digests = []
        for number, indices in enumerate(self._draw()):
            digest = crc32(repr(indices).encode(), digest)
            self._digests.append(digest)
            if number + 1 == start:
                self._verify_position()
            if number >= start:
                yield self._for_worker(indices, number) if self._loader.num_workers else indices

    def count_batches(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yield the batches of the loader and update `position`."""
        for batch in batches:
            self._restored = None
            self.position += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return epoch, position, the checksum of the earlier indices, and the attributes of samplers."""
        if self._restored:
            return self._restored
        return {
            "epoch": self.epoch,
            "repetition": self.repetition,
            "position": self.position,
            "digest": self._digests[self.position - 1] if self.position else 0,
            "attributes": self._attributes,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue at a position."""
        self._restored = state
        self.epoch = state["epoch"]
        self.repetition = state["repetition"]
        self.position = state["position"]

    def read_attributes(self) -> list[dict[str, Any]]:
        """Return the plain attributes of samplers that are not PyTorch's, e.g. a number of passes."""
        return [
            {name: value for name, value in vars(sampler).items() if type(value) in PLAIN_TYPES}
            for sampler in self._custom_samplers
        ]

    def restore_attributes(self, attributes: list[dict[str, Any]]) -> None:
        """Restore the values of `read_attributes`."""
        self._attributes = attributes
        for sampler, values in zip(self._custom_samplers, attributes, strict=False):
            vars(sampler).update(values)

    def derive_seed(self, purpose: str, *numbers: int) -> int:
        """Return the seed of this pass for a purpose."""
        return derive_seed(f"loader {purpose}", self._seed, self.epoch, self.repetition, *numbers)

    def _for_worker(self, indices: Any, number: int) -> "WorkerIndices":
        return WorkerIndices(indices, self.derive_seed("worker", self._rank, number))

    def _draw(self) -> Iterator[Any]:
        """Yield all indices; a sampler that is not PyTorch's may use the global random generators at any time."""
        with seeded(self.derive_seed("sampler")):
            iterator = iter(self.base)
        for number in count():
            with seeded(self.derive_seed("indices", number)) if self._custom_samplers or not number else nullcontext():
                batches = [*islice(iterator, BATCHES_PER_DRAW)]
            if not batches:
                return
            yield from batches

    def _verify_position(self) -> None:
        """Warn if the skipped indices are not those of the interrupted epoch."""
        if self._restored and self._digests[-1] != self._restored["digest"]:
            names = (type(sampler).__name__ for sampler in self._custom_samplers or [self.base])
            warn_not_positioned(", ".join(names))


class WorkerIndices:
    """Indices of a batch for a worker process, which seeds its global random generators when it receives them."""

    def __init__(self, indices: Any, seed: int) -> None:
        self.indices = indices
        self.seed = seed

    def __reduce__(self) -> tuple[Any, ...]:
        return _receive_indices, (self.indices, self.seed)


def warn_not_positioned(name: str) -> None:
    """Warn that an epoch is not resumed at its next batch.

    Args:
        name: Data module or sampler.
    """
    log.warning(
        f"warning: the data loader of {name} cannot be positioned: the epoch restarts with other batches\n"
        "  see docs/resuming.md#your-own-data-loaders"
    )


def _unique(objects: Iterable[Any]) -> list[Any]:
    """Return each object once, without None and objects without attributes, such as lists of indices."""
    return [*{id(item): item for item in objects if hasattr(item, "__dict__")}.values()]


def _is_standard(sampler: Any) -> bool:
    return type(sampler).__module__.startswith(STANDARD_SAMPLERS)


def _seed_generator(generator: Any, seed: int) -> None:
    """Seed a random generator of PyTorch, NumPy or Python; ignore other objects."""
    if isinstance(generator, torch.Generator):
        generator.manual_seed(seed)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = type(generator.bit_generator)(seed).state
    elif isinstance(generator, np.random.RandomState):
        generator.seed(seed % 2**32)
    elif isinstance(generator, random.Random):
        generator.seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global random generators for the block, and restore their states afterwards."""
    with isolate_rng(include_cuda=False):
        seed_globally(seed)
        yield


def seed_globally(seed: int) -> None:
    """Seed the global random generators of Python, NumPy and PyTorch's CPU."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)


def _receive_indices(indices: Any, seed: int) -> Any:
    seed_globally(seed)
    return indices
