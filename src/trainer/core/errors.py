"""Errors that the user can fix; they are printed as one message, without a traceback."""

import difflib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainer.core.disk_space import explain_full_disk, is_disk_full
from trainer.core.escaping import escape_control

OUT_OF_MEMORY_MESSAGES = ("out of memory", "can't allocate memory", "not enough memory")  # of CUDA and of the CPU
SINGLE_EXAMPLE_HINT = (
    "the last batch of an epoch may have one example; change data.batch_size or set model.net.batch_norm=false"
)
MAX_MESSAGE_CHARACTERS = 200


class UserError(Exception):
    """An error that the user can fix. The message names the problem, its location and the correction.

    Control characters in it, such as those of a file name, are escaped.

    Args:
        message: The message. If PyTorch has raised the error of a worker process again, with the traceback of the
            worker in front of it, the traceback is removed.
    """

    def __init__(self, message: str) -> None:
        if message.startswith("Caught UserError in DataLoader worker"):
            message = message.rpartition(f"{__name__}.UserError: ")[2].rstrip()
        super().__init__(escape_control(message))

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython and notebooks show instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class MismatchError(UserError):
    """Network and data that do not fit together."""


class Pruned(SystemExit):
    """The end of a run that a search has pruned. It is not an error: the exit status is 0.

    Args:
        result: Values for `result.json`.
    """

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(0)
        self.result = result

    def __str__(self) -> str:
        return "pruned: other trials were better at this epoch"


@contextmanager
def attach_result(result: Mapping[str, Any]) -> Iterator[None]:
    """Attach values for `result.json` to an exception that is raised in the block."""
    try:
        yield
    except BaseException as error:
        vars(error)["result"] = dict(result)
        raise


@contextmanager
def exit_without_traceback() -> Iterator[None]:
    """Exit after Ctrl-C, after a closed pipe as in `trainer list | head`, on a full disk, or in a deleted directory.

    Raises:
        SystemExit: 130 after Ctrl-C, as in a shell; 0 after a closed pipe; else a message.
    """
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not _has_working_directory():
            raise SystemExit("error: the working directory was deleted; change to another one") from None
        if is_disk_full(error):
            raise SystemExit(f"error: {explain_full_disk(error)}") from None
        raise


def _has_working_directory() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


@contextmanager
def attribute_errors_to(key: str) -> Iterator[None]:
    """Convert errors of constructors to a `UserError` that names `key`, the config node that they were built from.

    Only the types that report an invalid argument are converted; others are bugs and keep their traceback.

    Raises:
        UserError: A ValueError, TypeError, ImportError or Lightning's MisconfigurationException was raised inside.
    """
    try:
        yield
    except Exception as error:
        cause = unwrap_instantiation_error(error)
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(cause, ValueError | TypeError | ImportError) or is_misconfiguration(cause):
            raise UserError(f"{key}: {cause}\n  (HYDRA_FULL_ERROR=1 shows the traceback)") from error
        raise


def unwrap_instantiation_error(error: BaseException) -> BaseException:
    """Return the cause of Hydra's InstantiationException, or the error itself if it is of another type."""
    while type(error).__name__ == "InstantiationException" and error.__cause__:
        error = error.__cause__
    return error


def to_user_error(error: Exception, config: Mapping[str, Any], directory: Path | None = None) -> UserError | None:
    """Return a `UserError` for errors of other libraries that the user can fix, such as exhausted memory, else None.

    Args:
        error: Error raised in a run.
        config: Config of the run; may be empty.
        directory: Run directory.
    """
    if directory and not directory.is_dir() and isinstance(error, OSError | RuntimeError):
        return UserError(f"the run directory '{directory}' was deleted during the run")
    if is_disk_full(error):
        reason = explain_full_disk(error, [directory] if directory else [])
        return UserError(f"{reason}\n  free disk space, then: trainer resume RUN")
    text = str(error)
    if isinstance(error, ValueError) and text.startswith("Expected more than 1 value per channel"):
        return UserError(
            f"data.batch_size: batch norm needs two examples; {first_line(error)}\n  {SINGLE_EXAMPLE_HINT}"
        )
    if isinstance(error, ValueError) and text.startswith("Tried to step"):
        hint = "a schedule such as scheduler=onecycle can be extended"
        return UserError(f"scheduler: the training is longer than its schedule; {first_line(error)}\n  {hint}")
    if is_dead_worker(error):
        return UserError(
            f"data.workers: {first_line(error)}\n  fewer workers need less memory; data.workers=0 uses none"
        )
    return UserError(_explain_exhausted_memory(error, config)) if is_out_of_memory(error) else None


def _explain_exhausted_memory(error: Exception, config: Mapping[str, Any]) -> str:
    batch_size = config.get("data", {}).get("batch_size", 0)
    hint = "use a smaller network or trainer.precision=bf16-mixed"
    if batch_size > 1:
        accumulation = config.get("trainer", {}).get("accumulate_grad_batches", 1)
        overrides = f"data.batch_size={batch_size // 2} trainer.accumulate_grad_batches={2 * accumulation}"
        hint = f"same effective batch size with half the memory: {overrides}"
    message = first_line(error)[:MAX_MESSAGE_CHARACTERS]
    return f"out of memory with data.batch_size={batch_size}: {message}\n  {hint}"


def is_dead_worker(error: Exception) -> bool:
    """Return True if a worker process of a `DataLoader` was killed."""
    return isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker")


def is_out_of_memory(error: Exception) -> bool:
    """Return True if the memory of the machine or of a GPU is exhausted."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(message in str(error) for message in OUT_OF_MEMORY_MESSAGES)
    )


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Return the result of `suggest_names` to append to a message."""
    suggestion = suggest_names(name, names)
    return f"; {suggestion}" if suggestion else ""


def suggest_names(name: str, names: Sequence[str], max_listed: int = 40) -> str:
    """Return names similar to a misspelled one, or else all names if there are at most `max_listed`, or else ""."""
    matches = [other for other in names if other.lower() == name.lower()]
    matches = matches or difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if matches:
        return "did you mean " + " or ".join(f"'{match}'" for match in matches) + "?"
    return f"there are: {', '.join(sorted(names))}" if 0 < len(names) <= max_listed else ""


def first_line(error: BaseException) -> str:
    """Return the first line of the message of an error, or its type if it has no message."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def display_path(path: Path) -> str:
    """Return a path relative to the working directory if it is inside it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def format_user_message(error: BaseException) -> str | None:
    """Return the message of an error that the user can fix, in the terms of the config; None for other errors."""
    text = str(error)
    if isinstance(error, UserError) or is_misconfiguration(error):
        return text
    if text.startswith("Error(s) in loading state_dict"):
        return f"ckpt_path: the checkpoint does not match the network\n  {text.splitlines()[1].strip()}"
    return None


def is_misconfiguration(error: BaseException) -> bool:
    """Return whether Lightning has rejected arguments; its class is not imported, which is slow."""
    return type(error).__name__ == "MisconfigurationException"
