"""Engine: what begins jobs, each in a process of its own, and knows when they end. Here that is this machine itself."""

import os
import signal
from collections.abc import Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from trainer.core.cpu import cores
from trainer.sweep.executors.worker import start
from trainer.sweep.store.job_store import Job, Ledger


class Begun(Protocol):
    """A job that was begun."""

    def over(self) -> bool:
        """Whether it has ended."""
        ...

    def end(self) -> tuple[int, str]:
        """Its exit status, minus the number of the signal that killed it; and why, where the engine lost it."""
        ...

    def stop(self) -> None:
        """Ask it to save and leave."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


class Engine(Protocol):
    """Where jobs run."""

    def places(self) -> int:
        """How many jobs are begun at most before the first of them has ended."""
        ...

    def begin(self, job: Job, words: Sequence[str]) -> Begun:
        """Begin a job, which was taken from the ledger, by a command line."""
        ...

    def wait(self, begun: Sequence[Begun], seconds: float) -> None:
        """Return when one of these jobs has ended, or after some seconds."""
        ...

    def close(self) -> None:
        """No job is begun any more, and none is left."""
        ...


class Here(Engine):
    """Processes of this machine.

    Args:
        ledger: Of the sweep.
        seats: What each of the jobs that run at the same time finds in its environment.
    """

    def __init__(self, ledger: Ledger, seats: Sequence[dict[str, str]]) -> None:
        self.ledger, self.seats = ledger, seats
        self._taken: list[_Process] = []

    def places(self) -> int:
        return len(self.seats)

    def begin(self, job: Job, words: Sequence[str]) -> Begun:
        self._taken = [each for each in self._taken if not each.over()]
        taken = {each.seat for each in self._taken}
        seat = next(seat for seat in range(len(self.seats)) if seat not in taken)
        process = start(words, {**os.environ, **self.seats[seat]}, self.ledger.output(job.number))
        assert process.pid is not None
        self.ledger.hand_over(job.number, process.pid)
        self._taken.append(_Process(process, seat))
        return self._taken[-1]

    def wait(self, begun: Sequence[Begun], seconds: float) -> None:
        wait([each.process.sentinel for each in self._taken if each in begun], seconds)

    def close(self) -> None:
        pass


class _Process(Begun):
    def __init__(self, process: BaseProcess, seat: int) -> None:
        self.process, self.seat = process, seat

    def over(self) -> bool:
        return not self.process.is_alive()

    def end(self) -> tuple[int, str]:
        return self.process.exitcode or 0, ""

    def stop(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        kill(self.process)


def kill(process: BaseProcess) -> None:
    """End the process of a job and those that it has started."""
    assert process.pid is not None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it has no group yet, or is gone
        process.kill()


def seats(workers: int | None, jobs_per_gpu: int | None, gpus: Sequence[str]) -> list[dict[str, str]]:
    """What the jobs that run at the same time find in their environments: a GPU each, and a share of the cores.

    Args:
        workers: How many; None for as many as the GPUs take.
        jobs_per_gpu: How many share a GPU; None where it is left to the jobs.
        gpus: What `CUDA_VISIBLE_DEVICES` may name.
    """
    devices: list[dict[str, str]] = [{}] * (workers or 1)
    if jobs_per_gpu and gpus:
        devices = [{"CUDA_VISIBLE_DEVICES": gpu} for _ in range(jobs_per_gpu) for gpu in gpus][: workers or None]
    threads = str(max(1, cores() // len(devices)))
    return [{"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads), **device} for device in devices]


def visible_gpus() -> list[str]:
    """What each GPU that this process may use is called in `CUDA_VISIBLE_DEVICES`."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name]
    import torch  # the jobs have been checked with it already

    return [str(number) for number in range(torch.cuda.device_count())]
