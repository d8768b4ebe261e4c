"""A process of a run that `trainer` has started: it executes its job and answers with the result. Imports no torch."""

import logging
import os
import pickle
import signal
import sys
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, BinaryIO

from trainer.core.errors import Pruned
from trainer.core.lazy_imports import late_imports
from trainer.core.signals import interruptible


@dataclass
class RankArguments:
    """The arguments of a process of a run, which it reads from its standard input.

    Args:
        number: The rank among all processes of the run.
        path: `sys.path` of the process that has started this one.
        variables: Changes to the environment; None removes one.
        job: A pickled `trainer.training.distributed.job.Job`. It is unpickled after the variables are set that
            PyTorch reads when it is imported.
        answer: File descriptor that takes the result, `Pruned` if a search has ended the run, or the `Failure`.
    """

    number: int
    path: list[str]
    variables: dict[str, str | None]
    job: bytes
    answer: int


@dataclass
class Failure:
    """The exception that ended a job, in a form that another process can raise.

    Args:
        error: The exception, or a `RuntimeError` with its text if it cannot be pickled.
        traceback: As Python prints it.
    """

    error: BaseException
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Return the failure of this process with an exception."""
        text = "".join(traceback.format_exception(error))
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # whatever the classes of others raise
            error = RuntimeError(f"{type(error).__name__}: {error}")
        return cls(error, text)


def main() -> None:
    """Read the arguments, execute the job, and answer with the outcome.

    Standard input ends when the process ends that has started this one. Then this one is killed.
    """
    stdin = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        arguments: RankArguments = pickle.load(stdin)
    except EOFError:
        sys.exit(1)
    Thread(target=_end_with, args=(stdin,), daemon=True).start()
    sys.path[:] = arguments.path
    for name, value in arguments.variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    outcome: Any
    try:
        with interruptible():
            logging.getLogger().addHandler(logging.NullHandler())  # else Lightning adds one of its own at its import
            with late_imports():
                job = pickle.loads(arguments.job)
                job.prepare()
            job.log_to_run(everything=arguments.number == 0)
            outcome = job.execute()
    except Pruned as end:
        outcome = end
    except BaseException as error:
        outcome = Failure.of(error)
    Connection(arguments.answer, readable=False).send(outcome)
    sys.exit(isinstance(outcome, Failure))


def _end_with(stdin: BinaryIO) -> None:
    stdin.read()
    os.killpg(0, signal.SIGKILL)
