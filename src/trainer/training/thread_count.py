"""Number of PyTorch threads of a run: one for tiny networks, where several are slower."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainer.core.cpu import count_cpus
from trainer.core.spec import DataSpec

MAX_SINGLE_THREAD_MULTIPLICATIONS = 4_000_000  # below this, two threads were never faster: docs/speed.md


def estimate_multiplications(weights: int, spec: DataSpec, examples: int) -> int:
    """Return an upper bound of the multiplications in a forward pass: each weight is used once per input position.

    Args:
        weights: Number of weights of the network.
        spec: Data of the network; positions are pixels, time steps or tokens, and 1 for a vector.
        examples: Batch size.
    """
    positions = {"vector": 1, "image": math.prod(spec.shape[1:])}.get(spec.kind, spec.shape[0])
    return weights * positions * examples


@contextmanager
def thread_limit(multiplications: float, processes: int = 1) -> Iterator[None]:
    """Limit PyTorch's threads within the context, unless `OMP_NUM_THREADS` is set in the environment.

    PyTorch itself starts a thread for each core of the machine, also in a container that may use only some of them.

    Args:
        multiplications: Multiplications in a forward pass, see `estimate_multiplications`.
        processes: Number of processes that share the cores of this machine; 0 counts as 1. Defaults to 1.
    """
    threads = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        is_small = multiplications <= MAX_SINGLE_THREAD_MULTIPLICATIONS
        torch.set_num_threads(1 if is_small else max(1, min(threads, count_cpus()) // max(1, processes)))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
