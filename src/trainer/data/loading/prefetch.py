"""Prefetching of batches by worker processes."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from trainer.core.cpu import count_cpus
from trainer.core.errors import UserError
from trainer.core.signals import block_sigint, keep_sigchld_handler

Workers = int | Literal["auto"]
Names = Sequence[str]

# a forked process starts at once; the forkserver of a sweep would import PyTorch in every epoch
START_METHOD = "fork" if sys.platform == "linux" else None
MAX_WORKERS = 16  # for "auto"; a worker takes about 100 MB of memory


def prefetch_batches(
    read: Callable[[Names], Tensor], batches: Sequence[Names], *, workers: int, prefetch: int, pinned: bool
) -> Iterator[Tensor]:
    """Yield batches in order, independent of the number of workers.

    Workers receive file names and return batches in shared memory. They exit after the last batch, or when the iterator
    is deleted.

    Args:
        read: Reads one batch; pickled if processes are not forked.
        batches: File names of each batch.
        workers: Number of processes; 0 reads in this process, on demand.
        prefetch: Number of batches that each worker reads ahead.
        pinned: Whether batches are stored in pinned memory, for asynchronous copies to a GPU.

    Raises:
        UserError: Raised by `read`, also in a worker.
        RuntimeError: If a worker was killed; see `trainer.core.errors.to_user_error`.
    """
    if not workers or len(batches) < 2:  # a worker reads whole batches
        yield from map(read, batches)
        return
    from torch.utils.data import DataLoader

    # warnings: about forks, and about more workers than cores
    with block_sigint(), keep_sigchld_handler(), warnings.catch_warnings(action="ignore"):
        loader: Any = DataLoader(
            _BatchDataset(read),  # type: ignore[arg-type]  # __getitem__ is sufficient
            sampler=batches,
            batch_size=None,  # the sampler returns batches, not examples
            num_workers=min(workers, len(batches)),
            multiprocessing_context=START_METHOD,
            prefetch_factor=prefetch,
            pin_memory=pinned,
            generator=torch.Generator(),  # otherwise the global generator would advance
        )
        iterator = iter(loader)
    for remaining in reversed(range(len(batches))):
        try:
            batch = next(iterator)
        except (ConnectionError, EOFError) as error:  # raised before PyTorch detects the killed worker
            raise RuntimeError("DataLoader worker was killed while it returned a batch") from error
        if not remaining or isinstance(batch, UserError):
            del iterator  # stops the workers; the consumer may not request another batch
        if isinstance(batch, UserError):
            raise batch
        yield batch


def validate_workers(workers: Workers) -> Workers:
    """Return the setting; raise an error if it is negative."""
    if workers != "auto" and workers < 0:
        raise UserError(f"data.workers: {workers} is less than 0")
    return workers


def resolve_num_workers(workers: Workers, processes: int) -> int:
    """Return the number of worker processes; `"auto"` is one per core of this run except one for training.

    Args:
        workers: Configured number.
        processes: Number of training processes on this machine, each with its own workers.
    """
    if workers != "auto":
        return workers
    threads = os.environ.get("OMP_NUM_THREADS", "")  # cores per process, set by sweeps for their jobs
    cores = min(count_cpus() // processes, int(threads) if threads.isdigit() else count_cpus())
    return max(0, min(MAX_WORKERS, cores - 1))


class _BatchDataset:
    def __init__(self, read: Callable[[Names], Tensor]) -> None:
        self.read = read

    def __getitem__(self, names: Names) -> Tensor | UserError:
        try:
            return self.read(names)
        except UserError as error:  # returned, as a raised one would arrive with the worker's traceback as its message
            return error
