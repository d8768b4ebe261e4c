"""The run of a group that this process executes at the moment. Imports nothing that only groups need."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.training.fused.member import Member

member: "Member | None" = None  # set by the group; None outside of groups


def current_member() -> "Member | None":
    """Return the run that executes the calling code if it belongs to a group, else None."""
    return member


def count_runs() -> int:
    """Return the number of runs that this process trains at a time."""
    return member.group_size if member else 1
