"""Handles of jobs that were submitted with submitit."""

import os
import pickle
import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from trainer.sweeps.executors.base import JobExit, JobHandle
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.job_store import Ledger
from trainer.sweeps.store.slurm_queue import UNKNOWN_STATE, SlurmJob, run_command, slurm_queue

LOST_STATES = ("BOOT_FAIL", "NODE_FAIL", "PREEMPTED", "REVOKED", UNKNOWN_STATE)
BROKEN_NODE_STATES = ("BOOT_FAIL", "NODE_FAIL")


class LocalHandle(JobHandle):
    """Job of submitit's executor for one machine.

    Args:
        job: Job of submitit.
        ledger: Ledger of the sweep.
        number: Job number.
    """

    def __init__(self, job: Any, ledger: Ledger, number: int) -> None:
        self.job = job
        self.ledger = ledger
        self.number = number

    def done(self) -> bool:
        return self.job.done()

    def exit(self) -> JobExit:
        if not self.job.paths.result_pickle.exists():
            return JobExit(1, f"job {self.job.job_id} was lost (state: {self.job.state})")
        if error := self.job.exception():
            return JobExit(1, read_error(self.job) or str(error))
        return JobExit(max(self.job.results(), key=abs))

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(int(self.job.job_id), signal.SIGTERM)  # forwarded by the controller of submitit

    def kill(self) -> None:
        pid = self.ledger.job(self.number).pid
        if pid and pid != os.getpid():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        else:
            self.job.cancel(check=False)


class SlurmHandle(JobHandle):
    """Job of a Slurm cluster.

    Args:
        job: Job of submitit.
        ledger: Ledger of the sweep.
        number: Job number.
        attempt: Attempt number.
        settings: Settings of the launcher.
    """

    def __init__(self, job: Any, ledger: Ledger, number: int, attempt: int, settings: Mapping[str, Any]) -> None:
        self.job = job
        self.slurm_id = str(job.job_id)
        self.ledger = ledger
        self.number = number
        self.attempt = attempt
        self.settings = settings
        self._slurm_job = SlurmJob(self.slurm_id, "PENDING")
        self._has_ended = False  # according to the ledger, which the job itself updates
        self._unsent: list[list[str]] = []  # commands that the controller has not accepted

    def refresh(self, job: Job, slurm_job: SlurmJob) -> None:
        """Update the handle with the job's row of the ledger and its state in the queue of Slurm."""
        self._has_ended = job.state != "running" or job.attempts != self.attempt
        self._slurm_job = slurm_job
        if self._unsent and not slurm_job.is_unreachable:
            self._send(*self._unsent)

    def done(self) -> bool:
        return self._has_ended or self._slurm_job.is_over

    def exit(self) -> JobExit:
        state = self._slurm_job.state
        nodes = self._slurm_job.nodes
        name = f"Slurm job {self.slurm_id}"
        error = read_error(self.job)
        if state == "CANCELLED":
            return JobExit(1, f"{name} was cancelled", "stopped")
        if state in ("TIMEOUT", "DEADLINE") or "timed-out" in error:
            minutes = self.settings["timeout_min"]
            restarts = self.settings["max_num_timeout"]
            limit = f"hydra.launcher.timeout_min={minutes}, restarted at most hydra.launcher.max_num_timeout={restarts}"
            return JobExit(1, f"{name} reached its time limit: {limit} times", "stopped")
        if "requeue" in error:
            return JobExit(1, f"{name} has saved, but Slurm did not restart it: {error}", "stopped")
        location = f" on {nodes}" if nodes else ""
        if state in LOST_STATES:
            reason = f"{name} was lost{location} ({state})"
            return JobExit(1, reason, "lost", nodes if state in BROKEN_NODE_STATES else "")
        reason = f"{name} ended{location} ({state}{error and f': {error}'}); output in {self.job.paths.folder}"
        return JobExit(1, reason, machine=nodes)

    def stop(self) -> None:
        self._send(["scancel", "--state=PENDING", self.slurm_id], ["scancel", "--signal=INT", self.slurm_id])

    def kill(self) -> None:
        self._send(["scancel", self.slurm_id])

    def _send(self, *commands: list[str]) -> None:
        """Run commands; those that do not reach the controller are repeated when it answers again."""
        outputs = [(command, run_command(command)[1]) for command in commands]
        self._unsent = [command for command, output in outputs if re.search("contact|timed out|connect", output, re.I)]
        slurm_queue.poll_soon()


def read_error(job: Any) -> str:
    """Return the last line of the traceback of a job of submitit; empty if there is none."""
    file = job.paths.result_pickle
    try:
        outcome, trace = pickle.loads(file.read_bytes())
    except (OSError, EOFError, pickle.UnpicklingError):
        return ""
    messages = re.findall(r"^[\w.]+: (.+)", str(trace), re.MULTILINE) if outcome == "error" else []
    return messages[-1] if messages else ""
