"""The run of a group that this process executes at the moment. Imports nothing that only groups need."""

from typing import Any

member: Any = None  # trainer.training.fused.member.Member, set by the group; None outside of groups


def current_member() -> Any:
    """Return the run that executes the calling code if it belongs to a group, else None."""
    return member


def count_runs() -> int:
    """Return the number of runs that this process trains at a time."""
    return member.group_size if member else 1
