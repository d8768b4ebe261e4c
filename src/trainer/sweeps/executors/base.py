"""Executor interface and the executor that runs jobs as processes of this machine."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Literal, Protocol

from trainer.core.cpu import count_cpus
from trainer.sweeps.executors.worker import Attempt, start_worker
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.job_store import Ledger
from trainer.sweeps.store.process_liveness import is_process_alive

FORKSERVER_KILLED = 255  # exit status of `multiprocessing` for a process whose forkserver was killed
START_SECONDS = 5.0  # in which a process assigns its job to itself


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

    def start(self) -> None:
        """Start the submitted jobs, if `submit` has not done so. Called after all that can be submitted now."""
        return

    def wait(self, handles: Sequence[JobHandle], seconds: float) -> None:
        """Return when one of the jobs has ended, or after a timeout."""

    def avoid(self, machine: str) -> None:
        """Run no further job on a machine, if there are others."""
        return

    def close(self) -> None:
        """Release resources. Called after the last job has finished."""
        return


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
        attempt = Attempt(self.ledger.sweep.absolute(), job.number, job.attempts + 1)
        process: BaseProcess | None = None
        with suppress(EOFError, OSError):  # the forkserver was killed, and the process may have been started or not
            process = start_worker(overrides, environment, self.ledger.log_path(job.number), attempt=attempt)
        self._handles.append(_ProcessHandle(process, slot, self.ledger, job.number))
        return self._handles[-1]

    def wait(self, handles: Sequence[JobHandle], seconds: float) -> None:
        if sentinels := [handle.process.sentinel for handle in self._handles if handle in handles and handle.process]:
            wait(sentinels, seconds)
        else:
            time.sleep(seconds)


class _ProcessHandle(JobHandle):
    """Process of a job. If the forkserver is killed, the job continues, and the ledger contains its process.

    Args:
        process: The process; None if the forkserver was killed before it has answered.
        slot: Index of the environment.
        ledger: Ledger of the sweep.
        number: Job number.
    """

    def __init__(self, process: BaseProcess | None, slot: int, ledger: Ledger, number: int) -> None:
        self.process = process
        self.slot = slot
        self.ledger = ledger
        self.number = number
        self._exit_status: int | None = None
        self._deadline = time.monotonic() + START_SECONDS

    def done(self) -> bool:
        if self.process and (self.process.is_alive() or self.process.exitcode != FORKSERVER_KILLED):
            self._exit_status = self.process.exitcode
            return self._exit_status is not None
        self.process = None
        self._exit_status = FORKSERVER_KILLED
        return has_process_ended(self.ledger.job(self.number), self._deadline)

    def exit(self) -> JobExit:
        if self._exit_status == FORKSERVER_KILLED and self.ledger.result(self.number) is None:
            return JobExit(FORKSERVER_KILLED, "the process that starts the jobs was killed", kind="lost")
        return JobExit(self._exit_status or 0)

    def stop(self) -> None:
        self._send(os.kill, signal.SIGTERM)

    def kill(self) -> None:
        self._send(os.killpg, signal.SIGKILL)  # with the processes that the job has started
        self._send(os.kill, signal.SIGKILL)  # it may have no process group yet

    def _send(self, send: Callable[[int, int], None], number: int) -> None:
        pid = self.process.pid if self.process else self.ledger.job(self.number).pid
        if pid and pid != os.getpid() and not self.done():
            with suppress(ProcessLookupError):
                send(pid, number)


def has_process_ended(job: Job, deadline: float) -> bool:
    """Return whether the process of a running job has ended, after the forkserver that started it was killed.

    Args:
        job: The job.
        deadline: Time of `time.monotonic` until which the process may assign the job to itself.
    """
    if job.pid == os.getpid():  # no process has done so
        return time.monotonic() > deadline
    return not is_process_alive(job.host, job.pid, job.process_start_time, remote_default=False)


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
