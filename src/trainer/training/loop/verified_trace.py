"""Routine: something that is done at every step, and once it is known, by the mere operations that it takes."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.training.loop.eligibility import first_line
from trainer.training.loop.op_trace import Again, Tape

LONGEST = 4e-3  # seconds; what takes longer is busy with numbers, not with calls
WATCHED = 10  # times that show how long something takes
PROOFS = 3  # times that it is done both ways, which may not differ in a bit

log = logging.getLogger(__name__)


class Routine:
    """Something that is done again and again: in its own way at first, then by its operations, where they do the same.

    Args:
        name: For the log.
        usual: Does it in its own way, and returns tensors.
        free: See `Tape.again`.
    """

    def __init__(self, name: str, usual: Callable[..., list[Tensor | None]], *, free: str = "") -> None:
        self.name, self.usual, self.free = name, usual, free
        self.refused = False
        self._again: Again | None = None
        self._seconds: list[float] = []
        self._proofs = 0

    @property
    def is_proven(self) -> bool:
        """Whether it is done by its operations."""
        return self._proofs == PROOFS

    def __call__(self, given: Sequence[Tensor], *more: Any, rates: Sequence[float] = ()) -> list[Any]:
        """Do it, within `torch.no_grad`.

        Args:
            given: The tensors that operations take.
            more: What `usual` takes.
            rates: Of this time, the free arguments.
        """
        if self.is_proven:
            assert self._again
            return self._again(*given, *rates)
        if self.refused:
            return self.usual(*more)
        if len(self._seconds) < WATCHED:
            return self._watch(*more)
        return self._prove(given, more, rates) if self._again else self._note(given, *more)

    def refuse(self, reason: str) -> None:
        """Do it in its own way from now on."""
        self.refused = True
        log.debug("%s: not recorded: %s", self.name, reason)

    def _watch(self, *more: Any) -> list[Any]:
        began = time.perf_counter()
        results = self.usual(*more)
        self._seconds.append(time.perf_counter() - began)
        if len(self._seconds) == WATCHED and min(self._seconds) > LONGEST:
            self.refuse("it takes long")
        return results

    def _note(self, given: Sequence[Tensor], *more: Any) -> list[Any]:
        with Tape() as tape:
            results = self.usual(*more)
        try:
            with torch.random.fork_rng(devices=[]):  # operations are tried
                self._again = tape.again(given, results, free=self.free)
        except Exception as error:  # whatever stands against it
            self.refuse(first_line(error))
        return results

    def _prove(self, given: Sequence[Tensor], more: Sequence[Any], rates: Sequence[float]) -> list[Any]:
        assert self._again
        copies = [tensor.clone() for tensor in given]
        before = torch.get_rng_state()
        results = self.usual(*more)
        after = torch.get_rng_state()
        torch.set_rng_state(before)
        try:
            found = self._again(*copies, *rates)
        except Exception as error:
            self.refuse(first_line(error))
        else:
            wanted = [*results, *given, after]
            if all(map(_equal, [*found, *copies, torch.get_rng_state()], wanted)):
                self._proofs += 1
            else:
                self.refuse("its operations do not do the same")
        torch.set_rng_state(after)
        return results


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other if one is None or other is None else torch.equal(one, other)
