"""Run of a group, which waits while its steps and evaluations are computed together with those of other runs."""

from collections.abc import Callable, Hashable
from typing import Any

import greenlet
from torch import Tensor

from trainer.core.signals import shutdown
from trainer.training.fused.process_state import ProcessState


class Request:
    """Work of a run that is computed together with equal work of other runs.

    Args:
        key: Work of two runs is computed together if their keys are equal.
        position: Number of steps of the run so far; the group continues with the runs that are behind.
        work: Description of the work, for the function that computes it.
    """

    def __init__(self, key: Hashable, position: int, work: Any) -> None:
        self.key = key
        self.position = position
        self.work = work


class Member(greenlet.greenlet):
    """A run of a group: its code is that of an ordinary run, and pauses in `compute`.

    Args:
        function: Function that executes the run.
        group_size: Number of runs in the group.
    """

    def __init__(self, function: Callable[[], None], group_size: int) -> None:
        super().__init__(function)
        self.group_size = group_size
        self.request: Request | None = None  # what the run waits for
        self.reason_alone: str | None = None  # why its steps cannot be computed together with those of others
        self.is_verified = False  # whether steps were computed together, so that the evaluations can be, too
        self._state: ProcessState | None = None

    def compute(self, request: Request) -> Any:
        """Wait until the group has computed a request; return the result, or None if this run must do it alone."""
        if self.reason_alone is not None:
            return None
        assert self.parent is not None
        self.request = request
        return self.parent.switch()

    def proceed(self, result: Any = None) -> None:
        """Continue the run until it waits for its next request or ends; called by the group."""
        self.request = None
        if self._state:
            self._state.restore()
            self.switch(result)
        else:
            shutdown.on_signal = None
            self.switch()
        if not self.dead:
            self._state = ProcessState()
        shutdown.on_signal = _wait_for_run

    @property
    def torch_random(self) -> Tensor:
        """State of the random number generator of PyTorch of the waiting run, whose draws change it."""
        assert self._state
        return self._state.torch_random

    @torch_random.setter
    def torch_random(self, state: Tensor) -> None:
        assert self._state
        self._state.torch_random = state


def _wait_for_run() -> None:
    """Do nothing at a signal between two runs: each one saves when it proceeds, after the work in progress."""


def current_member() -> Member | None:
    """Return the run that executes the calling code if it belongs to a group, else None."""
    current = greenlet.getcurrent()
    return current if isinstance(current, Member) else None


def count_runs() -> int:
    """Return the number of runs that this process trains at a time."""
    member = current_member()
    return member.group_size if member else 1
