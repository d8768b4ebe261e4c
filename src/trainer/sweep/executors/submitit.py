"""Executor that runs each job as a job of a Slurm cluster, or of submitit's executor for one machine."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from trainer.core.cpu import count_cpus
from trainer.core.errors import UserError, first_line
from trainer.core.signals import block_sigint
from trainer.sweep.executors.base import Executor, JobHandle
from trainer.sweep.executors.remote_job import RemoteJob
from trainer.sweep.store.job_store import Job, Ledger


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

    def __init__(self, ledger: Ledger, max_parallel: int | None, cluster: str, settings: Mapping[str, Any]) -> None:
        import submitit
        from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

        self.ledger = ledger
        self.cluster = cluster
        self.name = settings["name"]
        cores = max(1, count_cpus() // (settings["cpus_per_task"] or 1))
        self.max_parallel = max_parallel or settings.get("array_parallelism") or cores
        shared = {*BaseQueueConf.__dataclass_fields__} - {"submitit_folder"}
        timeouts = {f"{cluster}_{name}": settings[name] for name in ("max_num_timeout",) if name in settings}
        parameters = {
            name if name in shared else f"{cluster}_{name}": value
            for name, value in settings.items()
            if name not in ("submitit_folder", "max_num_timeout")
        }
        # -P: a file random.py in the working directory must not replace the standard module
        python = {f"{cluster}_python": f"{shlex.quote(sys.executable)} -P"}
        try:
            self.executor = submitit.AutoExecutor(settings["submitit_folder"], cluster, **timeouts, **python)
            self.executor.update_parameters(**parameters)
        except (RuntimeError, NameError, AssertionError) as error:
            hint = "to use only this machine: sweep.workers=2, or hydra/launcher=submitit_local"
            raise UserError(f"hydra/launcher=submitit_{cluster}: {first_line(error)}\n  {hint}") from error

    def capacity(self) -> int:
        return self.max_parallel

    def submit(self, job: Job, overrides: Sequence[str]) -> JobHandle:
        from submitit.core.utils import FailedJobError

        stop_signal = signal.SIGINT if self.cluster == "slurm" else signal.SIGTERM  # see `_SubmititHandle.stop`
        remote_job = RemoteJob.create(self.ledger, job, overrides, start_method="spawn", stop_signal=stop_signal)
        self.executor.update_parameters(name=f"{self.name}_{job.number}")
        try:
            with block_sigint():  # inherited by the new process: only this process handles Ctrl-C
                return _SubmititHandle(self.executor.submit(remote_job), self.ledger, job.number, self.cluster)
        except FailedJobError as error:
            self.ledger.finish(job.number, "failed", str(error), attempt=job.tries + 1)
            raise UserError(f"job {job.number}: rejected by Slurm: {error}") from error

    def wait(self, handles: Sequence[JobHandle], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not any(handle.done() for handle in handles):
            time.sleep(min(0.1, seconds))

    def close(self) -> None:
        pass


class _SubmititHandle(JobHandle):
    def __init__(self, job: Any, ledger: Ledger, number: int, cluster: str) -> None:
        self.job = job
        self.ledger = ledger
        self.number = number
        self.cluster = cluster

    def done(self) -> bool:
        return self.job.done()

    def exit_status(self) -> tuple[int, str]:
        from submitit.core.utils import FailedJobError

        error = self.job.exception()
        if error is None:
            return max(self.job.results(), key=abs), ""
        messages = re.findall(r"^[\w.]+: (.+)", str(error), re.MULTILINE)  # the last line of a traceback
        if isinstance(error, FailedJobError) and messages:
            return 1, messages[-1]
        return 1, f"{self.cluster} job {self.job.job_id} was lost (state: {self.job.state})"

    def stop(self) -> None:
        if self.cluster == "local":
            with suppress(ProcessLookupError):
                os.kill(int(self.job.job_id), signal.SIGTERM)  # forwarded by the controller of submitit
        else:
            subprocess.run(["scancel", "--state=PENDING", self.job.job_id], check=False)
            # not SIGTERM: Slurm also sends it for a preemption, after which the job is restarted
            subprocess.run(["scancel", "--signal=INT", self.job.job_id], check=False)

    def kill(self) -> None:
        pid = self.ledger.job(self.number).pid
        if self.cluster == "local" and pid and pid != os.getpid():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        else:
            self.job.cancel(check=False)
