"""Executor interface and the executor that runs jobs as processes of this machine."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Literal, Protocol

from trainer.core.cpu import count_cpus
from trainer.sweep.executors.worker import start_worker
from trainer.sweep.store.job_store import Job, Ledger


@dataclass(frozen=True)
class JobExit:
    """End of a job as the executor sees it; the job itself may have updated the ledger already.

    Args:
        code: Exit status; minus the signal number if the job was killed.
        reason: Explanation of the executor if the job did not end by itself. Defaults to none.
        kind: `ended` by itself, `stopped` by a user or a time limit, or `lost` with its machine.
        machine: Machine to avoid if the job was lost on it, or did not even start there. Defaults to none.
    """

    code: int = 0
    reason: str = ""
    kind: Literal["ended", "stopped", "lost"] = "ended"
    machine: str = ""


class SubmissionRefusedError(Exception):
    """The cluster accepts no job at the moment."""


class JobHandle(Protocol):
    """A submitted job."""

    def done(self) -> bool:
        """Return whether the job has ended."""

    def exit(self) -> JobExit:
        """Return how the job has ended."""

    def stop(self) -> None:
        """Ask the job to save a checkpoint and exit."""

    def kill(self) -> None:
        """Kill the job."""


class Executor(Protocol):
    """Interface of everything that runs jobs.

    Attributes:
        jobs_outlive_command: Whether jobs continue if this process ends.
    """

    jobs_outlive_command: bool

    def capacity(self) -> int:
        """Return the maximum number of submitted jobs that have not ended."""

    def submit(self, job: Job, overrides: Sequence[str]) -> JobHandle:
        """Start a job that was claimed in the ledger, with a command line.

        Raises:
            SubmissionRefusedError: The cluster accepts no job at the moment.
        """

    def wait(self, handles: Sequence[JobHandle], seconds: float) -> None:
        """Return when one of the jobs has ended, or after a timeout."""

    def avoid(self, machine: str) -> None:
        """Run no further job on a machine, if there are others."""

    def close(self) -> None:
        """Release resources. Called after the last job has finished."""


class LocalExecutor(Executor):
    """Processes of this machine.

    Args:
        ledger: Ledger of the sweep.
        environments: Environment variables of each worker; there is one worker for each job that runs at a time.
    """

    jobs_outlive_command = False

    def __init__(self, ledger: Ledger, environments: Sequence[dict[str, str]]) -> None:
        self.ledger = ledger
        self.environments = environments
        self._handles: list[_ProcessHandle] = []

    def capacity(self) -> int:
        return len(self.environments)

    def submit(self, job: Job, overrides: Sequence[str]) -> JobHandle:
        self._handles = [handle for handle in self._handles if not handle.done()]
        slot = min({*range(len(self.environments))} - {handle.slot for handle in self._handles})
        environment = {**os.environ, **self.environments[slot]}
        process = start_worker(overrides, environment, self.ledger.log_path(job.number))
        assert process.pid is not None
        self.ledger.assign_process(job.number, process.pid)
        self._handles.append(_ProcessHandle(process, slot))
        return self._handles[-1]

    def wait(self, handles: Sequence[JobHandle], seconds: float) -> None:
        wait([handle.process.sentinel for handle in self._handles if handle in handles], seconds)

    def avoid(self, machine: str) -> None:
        pass

    def close(self) -> None:
        pass


class _ProcessHandle(JobHandle):
    def __init__(self, process: BaseProcess, slot: int) -> None:
        self.process = process
        self.slot = slot

    def done(self) -> bool:
        return not self.process.is_alive()

    def exit(self) -> JobExit:
        return JobExit(self.process.exitcode or 0)

    def stop(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        assert self.process.pid is not None
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # with the processes that the job has started
        except ProcessLookupError:  # no process group yet, or it has ended
            self.process.kill()


def build_worker_environments(
    workers: int | None, jobs_per_gpu: int | None, gpus: Sequence[str]
) -> list[dict[str, str]]:
    """Return the environment variables of each worker: one GPU and a share of the cores.

    Args:
        workers: Number of workers; None for `jobs_per_gpu` on each GPU.
        jobs_per_gpu: Number of workers that share a GPU; None to leave `CUDA_VISIBLE_DEVICES` unchanged.
        gpus: Values for `CUDA_VISIBLE_DEVICES`.
    """
    devices: list[dict[str, str]] = [{}] * (workers or 1)
    if jobs_per_gpu and gpus:
        devices = [{"CUDA_VISIBLE_DEVICES": gpu} for _ in range(jobs_per_gpu) for gpu in gpus][: workers or None]
    threads = str(max(1, count_cpus() // len(devices)))
    return [{"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads), **device} for device in devices]


def visible_gpus() -> list[str]:
    """Return the name of each GPU of this process, as `CUDA_VISIBLE_DEVICES` spells it."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name]
    import torch  # already imported by the check of the jobs

    return [str(number) for number in range(torch.cuda.device_count())]
