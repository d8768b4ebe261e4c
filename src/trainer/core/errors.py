"""Errors that a user can mend: shown as one message, without a traceback."""

import difflib
import errno
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
# CUDA's and the CPU's ways to say so
NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
ONE_LEFT = "the last batch of an epoch may have one; another data.batch_size, or model.net.batch_norm=false, avoids it"


class UserError(Exception):
    """A mistake the user can mend. The message says what is wrong, where, and what to type instead."""


class MismatchError(UserError):
    """A network that cannot take the data."""


class Pruned(SystemExit):
    """A search has ended this run early: no error, and the exit status is 0.

    Args:
        result: What `result.json` is to say of it.
    """

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(0)
        self.result = result

    def __str__(self) -> str:
        return "others were better by then"


@contextmanager
def leaving_quietly() -> Iterator[None]:
    """End a command without a traceback where nobody wants more of it.

    Raises:
        SystemExit: 130 after Ctrl-C, as shells have it; 0 where whoever reads has enough: `trainer list | head`.
    """
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except KeyboardInterrupt:  # a run that can save answers by itself
        raise SystemExit(130) from None


@contextmanager
def blamed_on(key: str) -> Iterator[None]:
    """Turn a refusal by whatever `key` of the config builds into a `UserError` that names the key.

    Only what constructors raise to refuse an argument is turned; anything else is a fault in code and keeps
    its traceback.

    Raises:
        UserError: A ValueError, TypeError or ImportError, or Lightning's MisconfigurationException, was raised inside.
    """
    try:
        yield
    except Exception as error:
        cause = cause_of(error)
        if isinstance(cause, UserError):
            raise cause from None
        if (
            isinstance(cause, ValueError | TypeError | ImportError)
            or type(cause).__name__ == "MisconfigurationException"
        ):
            raise UserError(f"{key}: {cause}\n  (HYDRA_FULL_ERROR=1 shows where it was raised)") from error
        raise


def cause_of(error: BaseException) -> BaseException:
    """Return what Hydra's instantiation has failed with; the error itself if that is not what failed."""
    while type(error).__name__ == "InstantiationException" and error.__cause__:
        error = error.__cause__
    return error


def mendable(error: Exception, config: Mapping[str, Any]) -> UserError | None:
    """What a user can do about an error of the machine, such as a full disk, or about a batch of one example.

    Args:
        error: From anywhere in a run.
        config: Of the run; may be empty.
    """
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        where = f" '{error.filename}'" if error.filename else ""
        return UserError(f"cannot write{where}: {error.strerror}\n  make room, then: trainer resume RUN")
    text = str(error)
    if isinstance(error, ValueError) and text.startswith("Expected more than 1 value per channel"):
        return UserError(f"data.batch_size: batch norm needs two examples; {first_line(error)}\n  {ONE_LEFT}")
    if isinstance(error, RuntimeError) and text.startswith("DataLoader worker"):  # raised wherever the run is just then
        return UserError(f"data.workers: {first_line(error)}\n  fewer of them need less memory, data.workers=0 none")
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(word in text for word in NO_MEMORY)):
        size = config.get("data", {}).get("batch_size", 0)
        together = config.get("trainer", {}).get("accumulate_grad_batches", 1)
        offer = "a smaller network or trainer.precision=bf16-mixed needs less"
        if size > 1:
            halves = f"data.batch_size={size // 2} trainer.accumulate_grad_batches={2 * together}"
            offer = f"steps of the same size in half the memory: {halves}"
        first = (text.splitlines() or ["MemoryError"])[0][:200]
        return UserError(f"out of memory with data.batch_size={size}: {first}\n  {offer}")
    return None


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """What `nearest` offers, as a half sentence behind another."""
    offer = nearest(name, names)
    return f"; {offer}" if offer else ""


def nearest(name: str, names: Sequence[str], all_of: int = 40) -> str:
    """The names nearest to a misspelt one, or else all of at most so many; "" where there is nothing to offer."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"'{other}'" for other in near) + "?"
    return f"there are: {', '.join(sorted(names))}" if 0 < len(names) <= all_of else ""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or else its kind."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def shown(path: Path) -> str:
    """A path as one would type it here: relative where it lies below the working directory."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def user_message(error: BaseException) -> str | None:
    """Return the message of an error that the user can correct, in the terms of the config; None for any other."""
    text = str(error)
    # Lightning's, which is not imported for this
    if isinstance(error, UserError) or type(error).__name__ == "MisconfigurationException":
        return text
    if text.startswith("Error(s) in loading state_dict"):
        return f"ckpt_path: the checkpoint is of another network\n  {text.splitlines()[1].strip()}"
    return None
