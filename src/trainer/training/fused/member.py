"""Run of a group, which waits while its steps and evaluations are computed together with those of other runs."""

from collections.abc import Callable
from typing import Any

import greenlet
from torch import Tensor

from trainer.core.signals import shutdown
from trainer.training.fused import current
from trainer.training.fused.process_state import ProcessState
from trainer.training.fused.work import Request


class Member(greenlet.greenlet):
    """A run of a group: its code is that of an ordinary run, and pauses in `compute`.

    Args:
        function: Function that executes the run.
        group_size: Number of runs in the group.
        is_required: Whether the run fails if its steps cannot be computed together with those of others.
    """

    def __init__(self, function: Callable[[], None], group_size: int, *, is_required: bool = False) -> None:
        super().__init__(function)
        self.group_size = group_size
        self.is_required = is_required
        self.request: Request | None = None  # what the run waits for
        self.reason_alone: str | None = None  # why its steps cannot be computed together with those of others
        self.structure: Any = None  # everything that is equal in runs that are trained together
        self.evaluates_together = False  # after its first steps that were computed together
        self._state: ProcessState | None = None

    def compute(self, request: Request) -> Any:
        """Wait until the group has computed a request; return the result.

        Raises:
            FusionError: The run must do it alone.
            Exception: Another error of the group; the weights may have changed.
        """
        assert self.parent is not None
        self.request = request
        result = self.parent.switch()
        if isinstance(result, Exception):
            raise result
        return result

    def proceed(self, result: Any = None) -> None:
        """Continue the run until it waits for its next request or ends; called by the group."""
        self.request = None
        current.member = self
        if self._state:
            self._state.restore()
            self.switch(result)
        else:
            shutdown.on_signal = None
            self.switch()
        if not self.dead:
            self._state = ProcessState()
        current.member = None
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
