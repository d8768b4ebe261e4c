"""Job that an executor runs on another machine, and that updates the ledger there."""

import os
import platform
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from trainer.core.errors import UserError
from trainer.core.rank import is_first_process
from trainer.sweep.executors.forkserver import START_METHOD
from trainer.sweep.executors.worker import start_worker
from trainer.sweep.store.job_outcome import record_outcome
from trainer.sweep.store.job_store import Job, Ledger
from trainer.sweep.store.process_liveness import read_process_start_time
from trainer.sweep.store.trial_store import TrialLedger

POLL_SECONDS = 0.2  # interval at which a cancelled Ray task is noticed


@dataclass
class RemoteJob:
    """A job in the form that is pickled for another machine; a call runs it to its end.

    Args:
        sweep: Absolute directory of the sweep.
        number: Job number.
        attempt: Attempt number. If it differs from the ledger's, another process has taken over the job.
        owner: Host, process id and start time of the process that has submitted the job.
        overrides: Command line of the job, with `resume=auto`, as executors may restart a job.
        cwd: Working directory.
        environment: Environment variables in addition to those that the executor sets.
        start_method: Start method of `multiprocessing`.
        stop_signal: Signal that asks to save a checkpoint and exit.
    """

    sweep: Path
    number: int
    attempt: int
    owner: tuple[str, int, str | None]
    overrides: list[str]
    cwd: Path
    environment: dict[str, str]
    start_method: str = START_METHOD
    stop_signal: int = signal.SIGINT

    @classmethod
    def create(cls, ledger: Ledger, job: Job, overrides: Sequence[str], **kwargs: Any) -> "RemoteJob":
        """Return a job that this process has claimed, with the `TRAINER_*` environment variables of this process.

        Args:
            ledger: Ledger of the sweep.
            job: State of the job before it was claimed.
            overrides: Command line of the job.
            **kwargs: Further arguments of this class.
        """
        environment = {name: value for name, value in os.environ.items() if name.startswith("TRAINER_")}
        owner = (platform.node(), os.getpid(), read_process_start_time(os.getpid()))
        resume = [] if "resume=auto" in overrides else ["resume=auto"]
        sweep = ledger.sweep.absolute()
        return cls(sweep, job.number, job.tries + 1, owner, [*overrides, *resume], Path.cwd(), environment, **kwargs)

    def __call__(self) -> int:
        """Run the job, unless another process has taken it over.

        Returns:
            int: Exit status; minus the signal number if the job was killed.

        Raises:
            UserError: A directory of the sweep does not exist on this machine.
        """
        signal.signal(self.stop_signal, signal.default_int_handler)
        for directory in (self.cwd, self.sweep):
            if not directory.is_dir():
                raise UserError(
                    f"'{directory}' does not exist on {platform.node()}; expected a directory that all machines share"
                )
        ledger = TrialLedger(self.sweep)
        if is_first_process() and not ledger.assign_process(self.number, os.getpid(), self.attempt):
            return 0
        self._process: BaseProcess = start_worker(
            self.overrides,
            {**os.environ, **self.environment},
            ledger.log_path(self.number),
            self.cwd,
            method=self.start_method,
            die_with_parent=True,
        )
        stopped = False
        try:
            self._join()
        except KeyboardInterrupt:
            stopped = True
            self._process.terminate()
            self._join()
        code = self._process.exitcode or 0
        if is_first_process():
            record_outcome(ledger, self.number, self.attempt, code, "", stopped=stopped)
        return code

    def checkpoint(self) -> Any:
        """Stop the job at its time limit or preemption and have it restarted. Called by submitit."""
        from submitit.helpers import DelayedSubmission

        self._process.terminate()
        self._join()
        del self._process
        # until the restart the submitting process owns the job, so that the end of this process does not end it
        Ledger(self.sweep).set_owner(self.number, self.attempt, self.owner)
        return DelayedSubmission(self)

    def _join(self) -> None:
        while self._process.is_alive():
            self._process.join(POLL_SECONDS)
