"""Changes of code and data since a run or a sweep was started: refused, unless the user has accepted them."""

import logging
from collections.abc import Mapping, Sequence

from trainer.artifacts.code_hashes import changed_files
from trainer.core.errors import UserError

MAX_SHOWN = 10
DATA_KEYS = ("data.path", "data._target_")  # one of them begins a change of data

log = logging.getLogger(__name__)


def is_of_data(change: str) -> bool:
    """Return whether a change is one of data, and not of a file of code."""
    return change.partition("=")[0] in DATA_KEYS


def warn_of_changed_code(code: Mapping[str, str], holder: str) -> None:
    """Warn of files that have changed since something was made with them; those that are not here are left out.

    Args:
        code: Hashes by name.
        holder: What was made with the earlier code, such as a checkpoint.
    """
    if changes := [change for change in changed_files(code) if not change.endswith(": missing")]:
        log.warning(f"warning: {holder} was made with other code:{_told(changes)}")


def accept(changes: Sequence[str], holder: str, *, accepted: bool) -> None:
    """Refuse changes, or warn of them if they are accepted.

    Args:
        changes: What is another now, and how.
        holder: What has been made with the earlier code and data: a run or a sweep.
        accepted: Whether the user has set `accept_changes`.

    Raises:
        UserError: There are changes, and they are not accepted.
    """
    if not changes:
        return
    problem = f"{holder} was made with other code or data:{_told(changes)}"
    if not accepted:
        offer = "put back what has changed, or go on with it as it is now: accept_changes=true"
        raise UserError(f"{problem}\n  {offer}")
    log.warning(f"warning: {problem}")


def _told(changes: Sequence[str]) -> str:
    more = f"\n  and {len(changes) - MAX_SHOWN} more" if len(changes) > MAX_SHOWN else ""
    return "".join(f"\n  {change}" for change in changes[:MAX_SHOWN]) + more
