"""On submitit: each job is a job of its own of a Slurm cluster, or of submitit's executor for one machine."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from trainer.core.cpu import cores
from trainer.core.errors import UserError, first_line
from trainer.sweep.executors.base import Begun, Engine
from trainer.sweep.executors.remote_job import Attendant
from trainer.sweep.store.job_store import Job, Ledger


class OnSubmitit(Engine):
    """Slurm, or this machine, as `hydra/launcher=submitit_slurm` and `submitit_local` describe it.

    Args:
        ledger: Of the sweep; all machines must see its directory.
        at_a_time: Jobs in the queue at most; None for `array_parallelism`, or for the cores of this machine.
        cluster: `slurm` or `local`.
        settings: The launcher's, as hydra-submitit-launcher names them.

    Raises:
        UserError: There is no Slurm, or it has no such setting.
    """

    def __init__(self, ledger: Ledger, at_a_time: int | None, cluster: str, settings: Mapping[str, Any]) -> None:
        import submitit
        from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

        self.ledger, self.cluster, self.name = ledger, cluster, settings["name"]
        self.at_a_time = (
            at_a_time or settings.get("array_parallelism") or max(1, cores() // (settings["cpus_per_task"] or 1))
        )
        shared = {*BaseQueueConf.__dataclass_fields__} - {"submitit_folder"}
        timeouts = {f"{cluster}_{name}": settings[name] for name in ("max_num_timeout",) if name in settings}
        given = {
            name if name in shared else f"{cluster}_{name}": value
            for name, value in settings.items()
            if name not in ("submitit_folder", "max_num_timeout")
        }
        try:
            self.executor = submitit.AutoExecutor(settings["submitit_folder"], cluster, **timeouts)
            self.executor.update_parameters(**given)
        except (RuntimeError, NameError, AssertionError) as error:
            offer = "on this machine alone: sweep.workers=2, or hydra/launcher=submitit_local"
            raise UserError(f"hydra/launcher=submitit_{cluster}: {first_line(error)}\n  {offer}") from error

    def places(self) -> int:
        return self.at_a_time

    def begin(self, job: Job, words: Sequence[str]) -> Begun:
        from submitit.core.utils import FailedJobError

        stops_on = signal.SIGINT if self.cluster == "slurm" else signal.SIGTERM  # what reaches a task, see `_Sent.stop`
        attendant = Attendant.of(self.ledger, job, words, method="spawn", stops_on=stops_on)
        self.executor.update_parameters(name=f"{self.name}_{job.number}")
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C in a terminal is for us alone
        try:
            return _Sent(self.executor.submit(attendant), self.ledger, job.number, self.cluster)
        except FailedJobError as error:
            self.ledger.end(job.number, "failed", str(error), tries=job.tries + 1)
            raise UserError(f"Slurm refuses job {job.number}: {error}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def wait(self, begun: Sequence[Begun], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not any(each.over() for each in begun):
            time.sleep(min(0.1, seconds))

    def close(self) -> None:
        pass


class _Sent(Begun):
    """A job that was submitted.

    Args:
        job: Submitit's.
        ledger: Of the sweep.
        number: Of the job in it.
        cluster: `slurm` or `local`.
    """

    def __init__(self, job: Any, ledger: Ledger, number: int, cluster: str) -> None:
        self.job, self.ledger, self.number, self.cluster = job, ledger, number, cluster

    def over(self) -> bool:
        return self.job.done()

    def end(self) -> tuple[int, str]:
        error = self.job.exception()
        if error is None:
            return max(self.job.results(), key=abs), ""
        told = re.findall(r"^[\w.]+: (.+)", str(error), re.MULTILINE)  # the last line of a traceback
        if type(error).__name__ == "FailedJobError" and told:
            return 1, told[-1]
        return 1, f"{self.cluster} job {self.job.job_id} was lost (state: {self.job.state})"

    def stop(self) -> None:
        if self.cluster == "local":
            with suppress(ProcessLookupError):
                os.kill(int(self.job.job_id), signal.SIGTERM)  # its controller hands it on
        else:
            subprocess.run(["scancel", "--state=PENDING", self.job.job_id], check=False)
            # not SIGTERM, which Slurm sends as well when it wants the machine, and then begins the job again
            subprocess.run(["scancel", "--signal=INT", self.job.job_id], check=False)

    def kill(self) -> None:
        at_work = self.ledger.job(self.number).pid
        if self.cluster == "local" and at_work and at_work != os.getpid():
            with suppress(ProcessLookupError):
                os.kill(at_work, signal.SIGKILL)
        else:
            self.job.cancel(check=False)
