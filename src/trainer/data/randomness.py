"""Randomness that data alone decide on: no global state, so nothing else in a run can shift it."""

from zlib import crc32

import numpy as np
from torch import Generator


def generator_for(purpose: str, *seeds: int) -> Generator:
    """A random generator of its own for each purpose and each row of seeds.

    Args:
        purpose: A word, so that two uses of one seed have nothing in common.
        *seeds: Any integers.
    """
    # the length counts: SeedSequence takes (5,) and (5, 0) for the same
    words = [crc32(purpose.encode()), len(seeds), *(seed % 2**64 for seed in seeds)]
    return Generator().manual_seed(int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1))
