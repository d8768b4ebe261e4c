"""Record: a job that keeps its own line in the ledger, wherever a launcher of Hydra has it run."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from trainer.core.errors import Pruned
from trainer.sweep.store.job_store import Job
from trainer.sweep.store.trial_store import Trials

log = logging.getLogger(__name__)


@dataclass
class Recorded:
    """Hydra's task function, with the ledger told when a job begins and how it ends.

    Args:
        task: The function of the job.
        sweep: The directory of the sweep, absolute; a job on another machine must see it as well.
        jobs: As they were when this was planned, by number: who is first to begin one has it.
        fail_fast: Whether to begin none once one of them has failed.
    """

    task: Callable[[Any], Any]
    sweep: Path
    jobs: Mapping[int, Job]
    fail_fast: bool

    def __call__(self, config: Any) -> Any:
        number = int(HydraConfig.get().sweep.subdir)
        ledger = Trials(self.sweep)
        if self.fail_fast and any(job.state == "failed" for job in self._since(ledger)):
            return None
        job = self.jobs[number]
        if not ledger.start(job):
            log.info(f"job {number} is another process's")
            return None
        try:
            returned = self.task(config)
        except Pruned:
            ledger.end(number, "pruned", tries=job.tries + 1)
            return None
        except Exception as error:
            log.error(f"error: {in_short(error)}")
            ledger.end(number, "failed", in_short(error), tries=job.tries + 1)
            raise
        except BaseException:  # Ctrl-C, or a signal
            ledger.end(number, "interrupted", tries=job.tries + 1)
            raise
        ledger.end(number, "done", tries=job.tries + 1)
        return returned

    def _since(self, ledger: Trials) -> list[Job]:
        return [job for job in ledger.jobs() if job.number in self.jobs and job.tries > self.jobs[job.number].tries]


def in_short(error: BaseException) -> str:
    """The kind of an error and the first lines of what it says."""
    text = "\n".join(str(error).splitlines()[:3])
    return text if type(error).__name__ == "UserError" else f"{type(error).__name__}: {text}"
