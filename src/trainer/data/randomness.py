"""Randomness that data alone decide on: no global state, so nothing else in a run can shift it."""

import numpy as np
from torch import Generator


def generator_for(*seeds: int) -> Generator:
    """A random generator that depends on every one of `seeds`, and on nothing else."""
    return Generator().manual_seed(int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0] >> 1))
