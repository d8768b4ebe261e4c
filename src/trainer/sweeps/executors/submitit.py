"""Executor that runs each job as a job of a Slurm cluster, or of submitit's executor for one machine."""

import re
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any, NoReturn

from trainer.core.cpu import count_cpus
from trainer.core.errors import UserError, first_line
from trainer.core.signals import block_sigint
from trainer.sweeps.executors.base import Executor, JobHandle, SubmissionRefusedError
from trainer.sweeps.executors.remote_job import RemoteJob
from trainer.sweeps.executors.submitit_handles import LocalHandle, SlurmHandle
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.job_store import Ledger
from trainer.sweeps.store.slurm_queue import save_slurm_id, slurm_queue

LEDGER_POLL_SECONDS = 0.5
# refusals that end by themselves: limits on the number of jobs, a controller that is busy or restarted
TEMPORARY_REFUSAL = re.compile("MaxSubmit|temporarily|timed out|contact slurm|connect", re.IGNORECASE)
LOCAL_HINT = "to use only this machine: sweep.workers=2, or hydra/launcher=submitit_local"
NO_CONTROLLER = re.compile("resolve_ctls|configuration source", re.IGNORECASE)


class SubmititExecutor(Executor):
    """Slurm or this machine, as configured by `hydra/launcher=submitit_slurm` and `submitit_local`.

    Args:
        ledger: Ledger of the sweep; its directory must be shared by all machines.
        max_parallel: Maximum number of jobs in the queue; None for `array_parallelism`, or the cores of this machine.
        cluster: `slurm` or `local`.
        settings: Settings of the launcher, named as in hydra-submitit-launcher.

    Raises:
        UserError: Slurm is not available, or a setting is invalid.
    """

    jobs_outlive_command = True

    def __init__(self, ledger: Ledger, max_parallel: int | None, cluster: str, settings: Mapping[str, Any]) -> None:
        import submitit
        from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

        self.ledger = ledger
        self.cluster = cluster
        self.settings = settings
        if cluster == "slurm":
            _require_time_before_signal(settings["timeout_min"], settings["signal_delay_s"])
        self._always_excluded = [name for name in (settings.get("exclude"),) if name]
        self._excluded = self._always_excluded
        self._n_submitted = 0
        cores = max(1, count_cpus() // (settings["cpus_per_task"] or 1))
        self.max_parallel = max_parallel or settings.get("array_parallelism") or cores
        shared = {*BaseQueueConf.__dataclass_fields__} - {"submitit_folder"}
        timeouts = {f"{cluster}_{name}": settings[name] for name in ("max_num_timeout",) if name in settings}
        parameters = {
            name if name in shared else f"{cluster}_{name}": value
            for name, value in settings.items()
            if name not in ("submitit_folder", "max_num_timeout")
        }
        if cluster == "slurm":  # also if the cluster requeues only jobs that request it
            parameters["slurm_additional_parameters"] = {"requeue": True, **settings["additional_parameters"]}
        # -P: a file random.py in the working directory must not replace the standard module
        python = {f"{cluster}_python": f"{shlex.quote(sys.executable)} -P"}
        try:
            self.executor = submitit.AutoExecutor(settings["submitit_folder"], cluster, **timeouts, **python)
            self.executor.update_parameters(**parameters)
        except (RuntimeError, NameError, AssertionError) as error:
            raise UserError(f"hydra/launcher=submitit_{cluster}: {first_line(error)}\n  {LOCAL_HINT}") from error

    def capacity(self) -> int:
        return self.max_parallel

    def submit(self, job: Job, overrides: Sequence[str]) -> JobHandle:
        from submitit.core.utils import FailedJobError

        # not SIGTERM: Slurm also sends it for a preemption, after which the job is restarted
        signals = {"stop_signal": signal.SIGINT, "restart_signal": signal.SIGTERM}
        if self.cluster == "local":
            signals = {"stop_signal": signal.SIGTERM}
        remote_job = RemoteJob.create(self.ledger, job, overrides, start_method="spawn", **signals)
        self.executor.update_parameters(name=f"{self.settings['name']}_{job.number}")
        try:
            # blocked SIGINT is inherited: only this process handles Ctrl-C; errors of sbatch are part of the exception
            with block_sigint(), redirect_stderr(StringIO()):
                submitted = self.executor.submit(remote_job)
        except FailedJobError as error:
            self._raise_refusal(job, str(error))
        self._n_submitted += 1
        if self.cluster == "local":
            return LocalHandle(submitted, self.ledger, job.number)
        save_slurm_id(self.ledger.file, job.number, remote_job.attempt, submitted.job_id)
        return SlurmHandle(submitted, self.ledger, job.number, remote_job.attempt, self.settings)

    def _raise_refusal(self, job: Job, message: str) -> NoReturn:
        """Raise the error of a refused submission: a temporary one if others of the same kind were accepted."""
        lines = re.findall(r"^sbatch: error: (.+)", message, re.MULTILINE) or message.strip().splitlines()[:1]
        text = "; ".join(dict.fromkeys(lines))
        if self._excluded != self._always_excluded:  # possibly no machine is left
            self._exclude([])
        elif not self._n_submitted and not TEMPORARY_REFUSAL.search(message):
            if NO_CONTROLLER.search(message):
                message = f"no Slurm found; start the sweep on a login node: {text}\n  {LOCAL_HINT}"
                raise UserError(f"hydra/launcher=submitit_slurm: {message}")
            raise UserError(f"job {job.number}: rejected by Slurm: {text}")
        raise SubmissionRefusedError(text)

    def wait(self, handles: Sequence[JobHandle], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            if self.cluster == "slurm":
                self._refresh([handle for handle in handles if isinstance(handle, SlurmHandle)])
            if any(handle.done() for handle in handles) or time.monotonic() >= deadline:
                return
            time.sleep(min(LEDGER_POLL_SECONDS, max(0.0, deadline - time.monotonic())))

    def _refresh(self, handles: Sequence[SlurmHandle]) -> None:
        """Read the states of jobs from the ledger and from Slurm at once."""
        jobs = {job.number: job for job in self.ledger.jobs([handle.number for handle in handles])}
        slurm_jobs = slurm_queue.jobs([handle.slurm_id for handle in handles])
        for handle in handles:
            handle.refresh(jobs[handle.number], slurm_jobs[handle.slurm_id])

    def avoid(self, machine: str) -> None:
        if self.cluster == "slurm":
            self._exclude([*self._excluded, machine])

    def _exclude(self, machines: list[str]) -> None:
        self._excluded = [*dict.fromkeys([*self._always_excluded, *machines])]
        self.executor.update_parameters(slurm_exclude=",".join(self._excluded) or None)


def _require_time_before_signal(timeout_min: float, signal_delay_s: float) -> None:
    """Raise if Slurm would ask each job to save and exit as soon as it starts, or before it can handle the signal."""
    if timeout_min * 60 <= signal_delay_s:
        raise UserError(
            f"hydra.launcher.signal_delay_s={signal_delay_s}: jobs would be asked to save and exit at their start, as"
            f" their time limit is {timeout_min * 60:g} s; expected less, or a larger"
            f" hydra.launcher.timeout_min={timeout_min}"
        )
