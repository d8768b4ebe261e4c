"""Job of a sweep that updates its row of the ledger, for jobs that a launcher of Hydra runs."""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from trainer.artifacts.ledger_file import read_optimized_metrics, retry_while_busy
from trainer.core.errors import Pruned, UserError
from trainer.sweeps.progress_display import format_end, format_status
from trainer.sweeps.store.job import Job, JobState
from trainer.sweeps.store.trial_store import TrialLedger

log = logging.getLogger(__name__)


@dataclass
class TrackedTask:
    """Hydra's task function, with the start and the end of the job written to the ledger.

    Args:
        task: Function that runs a job.
        sweep: Absolute directory of the sweep, shared by all machines.
        jobs: State of the jobs at the launch, by number. The first process that claims a job runs it.
        fail_fast: Whether to start no further job after a failure.
        n_trials: Number of trials of a search. Defaults to 0.
    """

    task: Callable[[Any], Any]
    sweep: Path
    jobs: Mapping[int, Job]
    fail_fast: bool
    n_trials: int = 0

    def __call__(self, config: Any) -> Any:
        number = int(HydraConfig.get().sweep.subdir)
        ledger = TrialLedger(self.sweep)
        if self.fail_fast and any(job.state == "failed" for job in self._started_jobs(ledger)):
            return None
        job = self.jobs[number]
        attempt = job.attempts + 1
        if not retry_while_busy(lambda: ledger.claim(job)):
            log.info(f"job {number} is run by another process")
            return None
        retry_while_busy(lambda: ledger.assign_process(number, os.getpid()))
        try:
            value = self.task(config)
        except Pruned:
            self._finish(ledger, number, "pruned", attempt)
            return None
        except Exception as error:
            message = format_error(error)
            log.error(f"error: {message}")
            self._finish(ledger, number, "failed", attempt, message)
            raise
        except BaseException:  # Ctrl-C or another signal
            ledger.finish(number, "interrupted", attempt=attempt)
            raise
        self._finish(ledger, number, "done", attempt)
        return value

    def _finish(
        self, ledger: TrialLedger, number: int, state: JobState, attempt: int, error: str | None = None
    ) -> None:
        """Write the end of a job to the ledger, and print it with the progress of the sweep."""
        retry_while_busy(lambda: ledger.finish(number, state, error, attempt=attempt))
        jobs = retry_while_busy(ledger.jobs)
        optimized = read_optimized_metrics(self.sweep)
        max_parallel = 1 + sum(job.state == "running" for job in jobs)  # a launcher such as joblib runs several
        end = format_end(next(job for job in jobs if job.number == number), optimized)
        print(f"{end}  [{format_status(jobs, optimized, max_parallel, self.n_trials)}]", flush=True)

    def _started_jobs(self, ledger: TrialLedger) -> list[Job]:
        return [
            job for job in ledger.jobs() if job.number in self.jobs and job.attempts > self.jobs[job.number].attempts
        ]


def format_error(error: BaseException) -> str:
    """Return the type of an error and the first three lines of its message."""
    text = "\n".join(str(error).splitlines()[:3])
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"
