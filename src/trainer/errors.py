"""Errors that a user can mend: shown as one message, without a traceback."""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class UserError(Exception):
    """A mistake the user can mend. The message says what is wrong, where, and what to type instead."""


class MismatchError(UserError):
    """A network that cannot take the data."""


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
        cause: BaseException = error
        while type(cause).__name__ == "InstantiationException" and cause.__cause__:
            cause = cause.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        if (
            isinstance(cause, ValueError | TypeError | ImportError)
            or type(cause).__name__ == "MisconfigurationException"
        ):
            raise UserError(f"{key}: {cause}\n  (HYDRA_FULL_ERROR=1 shows where it was raised)") from error
        raise


def did_you_mean(name: str, names: Sequence[str], all_of: int = 40) -> str:
    """A half sentence that offers the names nearest to a misspelt one, or else all of at most so many."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return "; did you mean " + " or ".join(f"'{other}'" for other in near) + "?"
    return f"; there are: {', '.join(sorted(names))}" if 0 < len(names) <= all_of else ""
