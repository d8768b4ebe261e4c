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

from trainer.errors import Pruned
from trainer.late import late_imports
from trainer.signals import interruptible


@dataclass
class Order:
    """What a process gets through its standard input.

    Args:
        number: The rank among all processes of the run.
        path: `sys.path` of the process that has started this one.
        variables: Changes to the environment; None removes one.
        job: A pickled `trainer.job.Job`. It is unpickled after the variables are set that PyTorch reads at its import.
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
    """Execute the order that standard input brings, and end when that ends, as it does with the process behind it."""
    orders = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    order: Order = pickle.load(orders)
    Thread(target=_end_with, args=(orders,), daemon=True).start()
    sys.path[:] = order.path
    for name, value in order.variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    outcome: Any
    try:
        with interruptible():
            logging.getLogger().addHandler(logging.NullHandler())  # else Lightning adds one of its own at its import
            with late_imports():
                job = pickle.loads(order.job)
                job.prepare()
            job.log_to_run(all_of_it=order.number == 0)
            outcome = job.execute()
    except Pruned as end:
        outcome = end
    except BaseException as error:
        outcome = Failure.of(error)
    Connection(order.answer, readable=False).send(outcome)
    sys.exit(isinstance(outcome, Failure))


def _end_with(orders: BinaryIO) -> None:
    orders.read()
    os.killpg(0, signal.SIGKILL)
