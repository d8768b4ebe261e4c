"""Replacement of a repeated function by a replay of its operations, after a comparison of both."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.training.loop.eligibility import format_error
from trainer.training.loop.op_trace import OpTrace, Replay

MAX_TRACED_SECONDS = 4e-3  # a replay saves overhead of calls, which is negligible in slower functions
WARMUP_CALLS = 10  # calls that are timed
VERIFICATION_CALLS = 3  # calls whose results are compared bit by bit with those of the replay

log = logging.getLogger(__name__)


class VerifiedTrace:
    """A function that is called at every step: timed, traced, compared with its replay, and then replaced by it.

    Args:
        name: Name in log messages.
        function: Original function, which returns tensors.
        varying: See `OpTrace.build_replay`.
        is_timed: Whether the first calls are timed, and a slow function, whose overhead is negligible, is not traced.
    """

    def __init__(
        self, name: str, function: Callable[..., list[Tensor | None]], *, varying: str = "", is_timed: bool = True
    ) -> None:
        self.name = name
        self.function = function
        self.varying = varying
        self.is_rejected = False
        self._replay: Replay | None = None
        self._warmup_calls = WARMUP_CALLS if is_timed else 0
        self._seconds: list[float] = []
        self._verifications = 0

    @property
    def is_verified(self) -> bool:
        """True if calls run the replay."""
        return self._verifications == VERIFICATION_CALLS

    def __call__(self, inputs: Sequence[Tensor], *arguments: Any, values: Sequence[float] = ()) -> list[Any]:
        """Call the function or its replay, within `torch.no_grad`.

        Args:
            inputs: Tensors that the operations use.
            arguments: Arguments of the original function.
            values: Values of the varying keyword argument.
        """
        if self.is_verified:
            assert self._replay
            return self._replay(*inputs, *values)
        if self.is_rejected:
            return self.function(*arguments)
        if len(self._seconds) < self._warmup_calls:
            return self._measure(*arguments)
        return self._verify(inputs, arguments, values) if self._replay else self._trace(inputs, *arguments)

    def reject(self, reason: str) -> None:
        """Call the original function from now on."""
        self.is_rejected = True
        log.debug("%s: not traced: %s", self.name, reason)

    def _measure(self, *arguments: Any) -> list[Any]:
        start = time.perf_counter()
        results = self.function(*arguments)
        self._seconds.append(time.perf_counter() - start)
        if len(self._seconds) == WARMUP_CALLS and min(self._seconds) > MAX_TRACED_SECONDS:
            self.reject("overhead is negligible")
        return results

    def _trace(self, inputs: Sequence[Tensor], *arguments: Any) -> list[Any]:
        with OpTrace() as trace:
            results = self.function(*arguments)
        try:
            with torch.random.fork_rng(devices=[]):  # building a replay calls operations
                self._replay = trace.build_replay(inputs, results, varying=self.varying)
        except Exception as error:  # torch.fx may raise anything
            self.reject(format_error(error))
        return results

    def _verify(self, inputs: Sequence[Tensor], arguments: Sequence[Any], values: Sequence[float]) -> list[Any]:
        assert self._replay
        copies = [tensor.clone() for tensor in inputs]
        initial_rng_state = torch.get_rng_state()
        results = self.function(*arguments)
        final_rng_state = torch.get_rng_state()
        torch.set_rng_state(initial_rng_state)
        try:
            replayed = [*self._replay(*copies, *values), *copies, torch.get_rng_state()]
        except Exception as error:
            self.reject(format_error(error))
        else:
            if all(map(_is_equal, replayed, [*results, *inputs, final_rng_state])):
                self._verifications += 1
            else:
                self.reject("results of the replay differ")
        torch.set_rng_state(final_rng_state)
        return results


def _is_equal(first: Tensor | None, second: Tensor | None) -> bool:
    return first is second if first is None or second is None else torch.equal(first, second)
