"""Detection of code and data that have changed since a run or a sweep was started."""

import logging
from collections.abc import Mapping, Sequence

from trainer.artifacts.code_hashes import find_changed_files
from trainer.core.errors import UserError

MAX_LISTED_CHANGES = 10
DATA_KEYS = ("data.path", "data._target_")  # the description of a data change starts with one of them

log = logging.getLogger(__name__)


def is_data_change(change: str) -> bool:
    """Return whether a change is a change of data, not of a code file."""
    return change.partition("=")[0] in DATA_KEYS


def warn_if_code_changed(code: Mapping[str, str], owner: str) -> None:
    """Warn about code files that have changed; missing files are ignored.

    Args:
        code: File hashes by name.
        owner: Object that was created with this code, e.g. a checkpoint, for the message.
    """
    if changes := [change for change in find_changed_files(code) if not change.endswith(": missing")]:
        log.warning(f"warning: {owner} used different code:{_format_changes(changes)}")


def require_accepted(changes: Sequence[str], owner: str, *, accepted: bool) -> None:
    """Raise an error if there are changes, or log a warning if they are accepted.

    Args:
        changes: Descriptions of the changes.
        owner: Run or sweep that used the old code and data, for the message.
        accepted: Value of `accept_changes`.

    Raises:
        UserError: There are changes, and they are not accepted.
    """
    if not changes:
        return
    problem = f"{owner} used different code or data:{_format_changes(changes)}"
    if not accepted:
        raise UserError(f"{problem}\n  restore the old version, or continue with the new one: accept_changes=true")
    log.warning(f"warning: {problem}")


def _format_changes(changes: Sequence[str]) -> str:
    lines = [f"\n  {change}" for change in changes[:MAX_LISTED_CHANGES]]
    if len(changes) > MAX_LISTED_CHANGES:
        lines.append(f"\n  and {len(changes) - MAX_LISTED_CHANGES} more")
    return "".join(lines)
