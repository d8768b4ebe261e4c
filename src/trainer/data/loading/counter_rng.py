"""Randomness that data alone decide on: no global state, so nothing else in a run can shift it."""

from functools import cached_property
from zlib import crc32

import numpy as np
import torch
from torch import Generator, Tensor

# of SplitMix64, as signed numbers: PyTorch's int64 wraps around
_STEP, _FIRST, _SECOND = (number - 2**64 for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


class Draws:
    """Random numbers for each example of a batch, which depend on seed, epoch and example alone.

    So an example is changed in the same way whatever stands beside it in its batch, on every device and in any
    number of processes.

    Args:
        rows: Number of each example in its data set (batch,), on the device that the numbers are wanted on.
        seeds: Any integers, e.g. the run's seed and the epoch.

    Source:
        Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators: SplitMix64, counted not split.
    """

    def __init__(self, rows: Tensor, *seeds: int) -> None:
        self._rows, self._seeds, self._drawn = rows, seeds, 0

    @cached_property
    def _streams(self) -> Tensor:  # made when something is drawn: many a data set is not augmented
        return _mixed(self._rows.long() * _STEP + _number("draws", *self._seeds))

    def uniform(self, *shape: int) -> Tensor:
        """The next numbers, evenly spread over [0, 1) in steps of 2^-24.

        Shapes:
            returns: (batch, *shape)
        """
        count = int(np.prod(shape, dtype=int))
        places = torch.arange(self._drawn + 1, self._drawn + 1 + count, device=self._streams.device)
        self._drawn += count
        bits = _mixed(self._streams[:, None] + places * _STEP)  # (batch, count)
        return (_shifted(bits, 40).float() * 2**-24).view(len(bits), *shape)


def generator_for(purpose: str, *seeds: int) -> Generator:
    """A random generator of its own for each purpose and each row of seeds.

    Args:
        purpose: A word, so that two uses of one seed have nothing in common.
        *seeds: Any integers.
    """
    return Generator().manual_seed(_number(purpose, *seeds))


def _number(purpose: str, *seeds: int) -> int:
    """63 random bits."""
    # the length counts: SeedSequence takes (5,) and (5, 0) for the same
    words = [crc32(purpose.encode()), len(seeds), *(seed % 2**64 for seed in seeds)]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)


def _mixed(numbers: Tensor) -> Tensor:
    """SplitMix64's last step: 64 bits that look random, of any 64 bits."""
    numbers = (numbers ^ _shifted(numbers, 30)) * _FIRST
    numbers = (numbers ^ _shifted(numbers, 27)) * _SECOND
    return numbers ^ _shifted(numbers, 31)


def _shifted(numbers: Tensor, bits: int) -> Tensor:
    """To the right, with zeros from the left."""
    return (numbers >> bits) & (2 ** (64 - bits) - 1)
