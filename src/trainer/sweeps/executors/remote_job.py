"""Job that an executor runs on another machine, and that updates the ledger there."""

import os
import platform
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from trainer.artifacts.run_lock import LOCK_FILENAME, run_lock
from trainer.core.errors import UserError
from trainer.core.rank import is_first_process
from trainer.sweeps.executors.forkserver import START_METHOD
from trainer.sweeps.executors.worker import start_worker
from trainer.sweeps.store.dead_jobs import state_of_ended_process
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.job_outcome import record_outcome
from trainer.sweeps.store.job_store import Ledger
from trainer.sweeps.store.process_liveness import read_process_start_time
from trainer.sweeps.store.slurm_queue import save_slurm_id
from trainer.sweeps.store.trial_store import TrialLedger

POLL_SECONDS = 0.2  # interval at which signals and a cancelled Ray task are noticed
LOCK_TIMEOUT_SECONDS = 120.0  # for the end of an earlier attempt; a cluster kills a job that does not stop sooner


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
        restart_signal: Signal after which the cluster may restart the job: it saves, and its state stays that of the
            cluster. Defaults to None.
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
    restart_signal: int | None = None

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
        return cls(sweep, job.number, job.attempts + 1, owner, [*overrides, *resume], Path.cwd(), environment, **kwargs)

    def __call__(self) -> int:
        """Run the job, unless another process has taken it over.

        Returns:
            int: Exit status; minus the signal number if the job was killed.

        Raises:
            UserError: A directory of the sweep does not exist on this machine.
            SystemExit: The cluster may restart the job; its state in the ledger is unchanged.
        """
        self._signals: list[int] = []
        self._process: BaseProcess | None = None
        for number in {signal.SIGINT, self.stop_signal, self.restart_signal or self.stop_signal}:
            signal.signal(number, self._store_signal)
        for directory in (self.cwd, self.sweep):
            if not directory.is_dir():
                raise UserError(
                    f"'{directory}' does not exist on {platform.node()}; expected a directory that all machines share"
                )
        ledger = TrialLedger(self.sweep)
        if is_first_process():
            if not ledger.assign_process(self.number, os.getpid(), self.attempt):
                return 0
            if os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
                save_slurm_id(ledger.file, self.number, self.attempt, os.environ["SLURM_JOB_ID"])
            self._wait_for_run_directory()
        code = -self._signals[0] if self._signals else self._run_worker(ledger)
        if is_first_process():
            stopped_by = self._signals[0] if self._signals else 0
            is_finished = state_of_ended_process(ledger, self.number) != "interrupted"
            if stopped_by and stopped_by == self.restart_signal and not (code == 0 and is_finished):
                ledger.hand_back(self.number, self.attempt, self.owner)
                raise SystemExit(128 + stopped_by)
            record_outcome(ledger, self.number, self.attempt, code, "", stopped=bool(stopped_by))
        return code

    def checkpoint(self) -> Any:
        """Stop the job at its time limit or preemption and have it restarted. Called by submitit."""
        from submitit.helpers import DelayedSubmission

        if self._process:
            self._stop_worker()
            self._process.join()
        # until the restart the submitting process owns the job, so that the end of this process does not end it
        Ledger(self.sweep).hand_back(self.number, self.attempt, self.owner)
        return DelayedSubmission(replace(self))

    def _store_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _wait_for_run_directory(self) -> None:
        """Wait until the process of an earlier attempt has ended, which may be saving on another machine."""
        run = self.sweep / str(self.number)
        deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while (run / LOCK_FILENAME).exists() and not self._signals and time.monotonic() < deadline:
            try:
                with run_lock(run):
                    return
            except UserError:
                time.sleep(1)

    def _run_worker(self, ledger: Ledger) -> int:
        """Run the job in a process, which is stopped after a signal; return its exit status."""
        requests, self._stop_requests = Pipe(duplex=False)
        process = self._process = start_worker(
            self.overrides,
            {**os.environ, **self.environment},
            ledger.log_path(self.number),
            self.cwd,
            method=self.start_method,
            stop_requests=requests,
        )
        requests.close()
        is_stopping = False
        while process.is_alive():
            process.join(POLL_SECONDS)
            if self._signals and not is_stopping:
                is_stopping = True
                self._stop_worker()
        return process.exitcode or 0

    def _stop_worker(self) -> None:
        with suppress(OSError):  # it has ended
            self._stop_requests.send("stop")
