"""Main function of a process that `trainer` starts for a run. Imports no torch."""

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
from trainer.core.lazy_imports import lazy_imports
from trainer.core.signals import interruptible

# parts of the tracebacks of failed communication: libraries of PyTorch's process groups, and their exceptions
COMMUNICATION_ERRORS = ("gloo/transport", "torch.distributed.Dist", "ncclRemoteError", "ncclSystemError")


def is_lost_connection(error: BaseException) -> bool:
    """Return whether an error was caused by the loss of the connection to another process."""
    text = "".join(traceback.format_exception(error))
    return any(name in text for name in COMMUNICATION_ERRORS)


@dataclass
class RankArguments:
    """Arguments of a process, which it reads from its standard input.

    Args:
        rank: Rank among all processes of the run.
        path: `sys.path` of the parent process.
        variables: Changes to the environment; None removes a variable.
        job: Pickled `trainer.training.distributed.job.Job`. It is unpickled after the variables have been set, because
            PyTorch reads them when it is imported.
        answer: File descriptor to which the result is written, `Pruned` if a search has stopped the run, or `Failure`.
    """

    rank: int
    path: list[str]
    variables: dict[str, str | None]
    job: bytes
    answer: int


@dataclass
class Failure:
    """The exception that ended a job, in a form that another process can raise.

    Args:
        error: The exception, or a `RuntimeError` with its text if it cannot be pickled.
        traceback: Traceback in Python's format.
        is_lost_connection: Whether the connection to another process was lost, probably because that one failed.
    """

    error: BaseException
    traceback: str
    is_lost_connection: bool = False

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        text = "".join(traceback.format_exception(error))
        has_lost_connection = is_lost_connection(error)
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # user-defined exceptions may raise anything
            error = RuntimeError(f"{type(error).__name__}: {error}")
        return cls(error, text, is_lost_connection=has_lost_connection)


def main() -> None:
    """Read the arguments, execute the job, and send the outcome.

    Standard input is closed when the parent process exits. Then this process is killed.
    """
    stdin = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        arguments: RankArguments = pickle.load(stdin)
    except EOFError:
        sys.exit(1)
    Thread(target=_die_with_parent, args=(stdin,), daemon=True).start()
    sys.path[:] = arguments.path
    for name, value in arguments.variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    outcome: Any
    try:
        with interruptible():
            logging.getLogger().addHandler(logging.NullHandler())  # else Lightning adds a handler when it is imported
            with lazy_imports():
                job = pickle.loads(arguments.job)
                job.prepare()
            job.configure_logging(warnings_only=arguments.rank != 0)
            outcome = job.execute()
    except Pruned as error:
        outcome = error
    except BaseException as error:
        outcome = Failure.of(error)
    Connection(arguments.answer, readable=False).send(outcome)
    sys.exit(int(isinstance(outcome, Failure)))  # exit hooks of other packages require an int


def _die_with_parent(stdin: BinaryIO) -> None:
    stdin.read()
    os.killpg(0, signal.SIGKILL)
