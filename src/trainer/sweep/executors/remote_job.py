"""Attendant: what an engine runs on the machine that it has chosen for a job: it runs the job, and tells the ledger."""

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
from trainer.sweep.executors.forkserver import METHOD
from trainer.sweep.executors.worker import start
from trainer.sweep.store.job_outcome import conclude
from trainer.sweep.store.job_store import Job, Ledger
from trainer.sweep.store.process_liveness import born
from trainer.sweep.store.trial_store import Trials

PAUSE = 0.2  # seconds after which it is seen that Ray has cancelled a task


@dataclass
class Attendant:
    """A job, as it is sent to another machine; calling it runs the job to its end.

    Args:
        sweep: The directory of the sweep, absolute.
        number: Of the job.
        tries: Which of its tries this is: if the ledger says another, it is somebody else's by now.
        owner: Host, number and birth of the process that has sent it.
        words: Of its command line; they must say `resume=auto`, as engines may begin a job anew.
        place: The working directory.
        variables: Of the environment, beside those that the engine sets.
        method: How its process is begun, as `multiprocessing` calls it.
        stops_on: Signal that asks to save and leave.
    """

    sweep: Path
    number: int
    tries: int
    owner: tuple[str, int, str | None]
    words: list[str]
    place: Path
    variables: dict[str, str]
    method: str = METHOD
    stops_on: int = signal.SIGINT

    @classmethod
    def of(cls, ledger: Ledger, job: Job, words: Sequence[str], **how: Any) -> "Attendant":
        """That of a job which this process has taken, with our own variables of this process.

        Args:
            ledger: Of the sweep.
            job: As it was before it was taken.
            words: Of its command line.
            **how: Further arguments of this class.
        """
        own = {name: value for name, value in os.environ.items() if name.startswith("TRAINER_")}
        owner = platform.node(), os.getpid(), born(os.getpid())
        whole = [*words, *(["resume=auto"] if "resume=auto" not in words else [])]
        return cls(ledger.sweep.absolute(), job.number, job.tries + 1, owner, whole, Path.cwd(), own, **how)

    def __call__(self) -> int:
        """Run the job, unless it is not to be run any more.

        Returns:
            int: Its exit status; minus the number of the signal that killed it.

        Raises:
            UserError: This machine does not see what it has to.
        """
        signal.signal(self.stops_on, signal.default_int_handler)
        for folder in (self.place, self.sweep):
            if not folder.is_dir():
                raise UserError(f"{platform.node()} does not see '{folder}', which all machines of a sweep must share")
        ledger = Trials(self.sweep)
        if is_first_process() and not ledger.hand_over(self.number, os.getpid(), self.tries):
            return 0
        self._process = self._begun(ledger)
        stopped = False
        try:
            self._join()
        except KeyboardInterrupt:
            stopped = True
            self._process.terminate()
            self._join()
        code = self._process.exitcode or 0
        if is_first_process():
            conclude(ledger, self.number, self.tries, code, "", stopped=stopped)
        return code

    def checkpoint(self) -> Any:
        """Stop the job, as its time is up or its machine is wanted, and have it begun again: called by submitit."""
        from submitit.helpers import DelayedSubmission

        self._process.terminate()
        self._join()
        del self._process
        # until it is begun again nobody may take this process's end for the job's
        Ledger(self.sweep).hand_back(self.number, self.tries, self.owner)
        return DelayedSubmission(self)

    def _begun(self, ledger: Ledger) -> BaseProcess:
        environment = {**os.environ, **self.variables}
        output = ledger.output(self.number)
        return start(self.words, environment, output, self.place, method=self.method, leashed=True)

    def _join(self) -> None:
        while self._process.is_alive():
            self._process.join(PAUSE)
