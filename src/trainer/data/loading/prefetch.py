"""Ahead: batches that take long to read are read by worker processes, before they are needed."""

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor

from trainer.core.cpu import cores
from trainer.core.errors import UserError

Workers = int | Literal["auto"]
Names = Sequence[str]

# a fork is ready at once; what is begun anew, as in a job of a sweep it would be, imports PyTorch first, every epoch
FORK = "fork" if sys.platform == "linux" else None
MOST = 16  # workers that are begun unasked; each takes some 100 MB of memory


def read_ahead(
    read: Callable[[Names], Tensor], batches: Sequence[Names], *, workers: int, prefetch: int, pinned: bool
) -> Iterator[Tensor]:
    """Batches in their order, the same ones whoever reads them.

    Nothing but names goes to a worker, and nothing but the batch comes back, in shared memory. Workers end with the
    last batch, or when the iterator is dropped.

    Args:
        read: Reads one batch; a process that was not forked gets it pickled.
        batches: Names of the files of each.
        workers: Processes; 0 reads here, each batch when it is asked for.
        prefetch: Batches that each worker reads before they are asked for.
        pinned: Whether batches are put where a GPU fetches them from by itself.

    Raises:
        UserError: Raised by `read`, here as in a worker.
        RuntimeError: A worker was killed; `trainer.core.errors.mendable` knows it.
    """
    if not workers or len(batches) < 2:  # a worker's unit of work is a batch
        yield from map(read, batches)
        return
    from torch.utils.data import DataLoader

    with _left_to_the_run(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of more workers than cores, which somebody has asked for; of forks
        loader: Any = DataLoader(
            _Whole(read),  # type: ignore[arg-type]  # no more is asked of it
            sampler=batches,
            batch_size=None,  # its sampler names batches, not examples
            num_workers=min(workers, len(batches)),
            multiprocessing_context=FORK,
            prefetch_factor=prefetch,
            pin_memory=pinned,
            generator=torch.Generator(),  # else it draws a number from the run's own, which dropout would miss
        )
        ahead = iter(loader)
    for left in reversed(range(len(batches))):
        try:
            batch = next(ahead)
        except (ConnectionError, EOFError) as error:  # PyTorch looks whether one has ended, and may look too early
            raise RuntimeError("DataLoader worker was killed while it handed over a batch") from error
        if not left or isinstance(batch, UserError):
            del ahead  # ends the workers: who has the last batch does not ask for another
        if isinstance(batch, UserError):
            raise batch
        yield batch


def workers_for(workers: Workers, processes: int) -> int:
    """How many processes read ahead; unasked, one for each core of this run but the one that trains.

    Args:
        workers: As asked for.
        processes: In which the run trains on this machine, each with workers of its own.
    """
    if workers != "auto":
        return workers
    share = os.environ.get("OMP_NUM_THREADS", "")  # of one process: what a sweep gives each of its jobs
    mine = min(cores() // processes, int(share) if share.isdigit() else cores())
    return max(0, min(MOST, mine - 1))


class _Whole:
    """Whole batches by the names of their files.

    Args:
        read: See `read_ahead`.
    """

    def __init__(self, read: Callable[[Names], Tensor]) -> None:
        self.read = read

    def __getitem__(self, names: Names) -> Tensor | UserError:
        try:
            return self.read(names)
        except UserError as error:  # raised by a worker it would come with its traceback
            return error


@contextmanager
def _left_to_the_run() -> Iterator[None]:
    """Processes begun within do not see Ctrl-C, which reaches all of a terminal: the run saves, then ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
