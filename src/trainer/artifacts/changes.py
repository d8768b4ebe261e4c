"""Changes of code and data since a run or a sweep was started: refused, unless the user has accepted them."""

import logging
from collections.abc import Sequence

from trainer.errors import UserError

MAX_SHOWN = 10
DATA_KEYS = ("data.path", "data._target_")  # one of them begins a change of data

log = logging.getLogger(__name__)


def is_of_data(change: str) -> bool:
    """Return whether a change is one of data, and not of a file of code."""
    return change.partition("=")[0] in DATA_KEYS


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
    told = "".join(f"\n  {change}" for change in changes[:MAX_SHOWN])
    told += f"\n  and {len(changes) - MAX_SHOWN} more" * (len(changes) > MAX_SHOWN)
    if not accepted:
        raise UserError(
            f"{holder} was made with other code or data:{told}\n"
            "  put back what has changed, or go on with it as it is now: accept_changes=true"
        )
    log.warning(f"warning: {holder} was made with other code or data:{told}")
