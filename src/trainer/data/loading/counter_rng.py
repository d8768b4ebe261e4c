"""Counter-based random numbers from seeds alone, independent of PyTorch's global random state."""

from functools import cached_property
from zlib import crc32

import numpy as np
import torch
from torch import Generator, Tensor

# constants of SplitMix64 as signed numbers, because PyTorch's int64 wraps around
_GOLDEN_GAMMA, _MIX_MULTIPLIER_1, _MIX_MULTIPLIER_2 = (
    number - 2**64 for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


class BatchRNG:
    """Random numbers for each example of a batch, from seeds and example index alone.

    An example is changed in the same way in every batch, on every device and in any number of processes.

    Args:
        rows: Index of each example in its data set (batch,), on the device of the random numbers.
        seeds: Any integers, e.g. the run's seed and the epoch.

    Source:
        Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators: SplitMix64, counted not split.
    """

    def __init__(self, rows: Tensor, *seeds: int) -> None:
        self.rows = rows
        self.seeds = seeds
        self._count = 0

    @cached_property
    def _streams(self) -> Tensor:  # computed at the first use: many data sets have no augmentation
        return _mix64(self.rows.long() * _GOLDEN_GAMMA + derive_seed("draws", *self.seeds))

    def uniform(self, *shape: int) -> Tensor:
        """Return the next numbers (batch, *shape), uniform in [0, 1) in steps of 2^-24."""
        bits = self._draw_bits(int(np.prod(shape, dtype=int)))
        return (_shift_right(bits, 40).float() * 2**-24).view(len(bits), *shape)

    def derive_seeds(self) -> list[int]:
        """Return the next number of each example as a seed of 63 bits for another generator."""
        seeds: list[int] = _shift_right(self._draw_bits(1), 1).flatten().tolist()
        return seeds

    def _draw_bits(self, count: int) -> Tensor:
        """Return the next `count` numbers of 64 random bits of each example (batch, count)."""
        counters = torch.arange(self._count + 1, self._count + 1 + count, device=self._streams.device)
        self._count += count
        return _mix64(self._streams[:, None] + counters * _GOLDEN_GAMMA)


def make_generator(purpose: str, *seeds: int) -> Generator:
    """Return an independent random generator for each purpose and sequence of seeds.

    Args:
        purpose: Text that separates different uses of one seed.
        *seeds: Any integers.
    """
    return Generator().manual_seed(derive_seed(purpose, *seeds))


def derive_seed(purpose: str, *seeds: int) -> int:
    """Return 63 random bits."""
    # the length is included because SeedSequence is the same for (5,) and (5, 0)
    entropy = [crc32(purpose.encode()), len(seeds), *(seed % 2**64 for seed in seeds)]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)


def _mix64(numbers: Tensor) -> Tensor:
    """Apply the output function of SplitMix64."""
    numbers = (numbers ^ _shift_right(numbers, 30)) * _MIX_MULTIPLIER_1
    numbers = (numbers ^ _shift_right(numbers, 27)) * _MIX_MULTIPLIER_2
    return numbers ^ _shift_right(numbers, 31)


def _shift_right(numbers: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros."""
    return (numbers >> bits) & (2 ** (64 - bits) - 1)
