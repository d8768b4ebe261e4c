"""Threads: the step of a tiny network is made by one alone; with several it takes longer, on busy cores many times."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainer.core.spec import DataSpec

TINY = 4_000_000  # multiplications; below it two threads were never faster: docs/speed.md


def work(weights: int, spec: DataSpec, examples: int) -> int:
    """At most so many multiplications are in a forward pass: each weight is used once at each place of an input.

    Args:
        weights: Of the network.
        spec: Says how many places an input has: pixels, points in time, tokens; 1 for a vector.
        examples: In a batch.
    """
    places = {"vector": 1, "image": math.prod(spec.shape[1:])}.get(spec.kind, spec.shape[0])
    return weights * places * examples


@contextmanager
def threads_for(work: float, processes: int = 1) -> Iterator[None]:
    """Within this, PyTorch makes little work by one thread; `OMP_NUM_THREADS` in the environment wins.

    Args:
        work: Multiplications in a forward pass, as `work` has them.
        processes: Number of processes on this machine that share its cores. Defaults to 1; 0 is the same.
    """
    usual = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1 if work <= TINY else max(1, usual // max(1, processes)))
    try:
        yield
    finally:
        torch.set_num_threads(usual)
