"""Dimensions of a space: numbers between two bounds, or a choice; read from one axis of a command line."""

import math
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from trainer.core.errors import UserError

Value = str | int | float


@dataclass(frozen=True)
class Numbers:
    """A number to be found.

    Args:
        key: As it is typed.
        low: The least.
        high: The greatest, which may be taken as well.
        step: Between numbers that may be taken; None for any number.
        log: Whether orders of magnitude count, and not differences.
        whole: Whether it is a whole number.
    """

    key: str
    low: float
    high: float
    step: float | None
    log: bool
    whole: bool

    @property
    def ends(self) -> tuple[Value, ...]:
        """Values that are tried before anything begins."""
        return self.low, self.high

    def __str__(self) -> str:
        kind = "whole numbers " if self.whole else ""
        step = f" in steps of {self.step:g}" if self.step and not (self.whole and self.step == 1) else ""
        return f"{kind}{self.low:g} to {self.high:g}{step}{', logarithmic' if self.log else ''}"


@dataclass(frozen=True)
class Choices:
    """A choice to be made.

    Args:
        key: As it is typed.
        values: As they are typed.
    """

    key: str
    values: tuple[str, ...]

    @property
    def ends(self) -> tuple[Value, ...]:
        """Values that are tried before anything begins."""
        return self.values

    def __str__(self) -> str:
        return "one of " + ", ".join(self.values)


def dimension_of_axis(key: str, override: Override) -> Numbers | Choices:
    """Return the dimension that an axis of a command line describes.

    Raises:
        UserError: The axis has no value, or its bounds are invalid.
    """
    value: Any = override.value()
    log = "log" in getattr(value, "tags", ())
    if isinstance(value, IntervalSweep):
        return numbers_of_interval(key, value)
    if isinstance(value, RangeSweep) and value.start is not None and value.stop is not None:
        taken = list(value.range())
        if taken:
            whole = all(isinstance(number, int) for number in taken)
            if not log or (whole and value.step == 1):
                step = None if log else abs(value.step)
                return _checked(Numbers(key, min(taken), max(taken), step, log, whole))
            raise UserError(f"{key}: a range with a step cannot be logarithmic; interval(...) can")
    values = tuple(override.sweep_string_iterator())
    if not values:
        raise UserError(f"{key}: this axis of the search has no value; leave it out, or give it some")
    return Choices(key, tuple(dict.fromkeys(values)))


def numbers_of_interval(key: str, interval: IntervalSweep) -> Numbers:
    """Return the numbers of an interval; whole numbers only if `int(...)` has made both bounds integers.

    Raises:
        UserError: The bounds are invalid.
    """
    assert interval.start is not None
    assert interval.end is not None
    whole = isinstance(interval.start, int) and isinstance(interval.end, int)
    log = "log" in interval.tags
    step = 1 if whole and not log else None
    return _checked(Numbers(key, interval.start, interval.end, step, log, whole))


def _checked(made: Numbers) -> Numbers:
    if not (math.isfinite(made.low) and math.isfinite(made.high)):
        raise UserError(f"{made.key}: an interval needs two finite ends, not {made.low:g} and {made.high:g}")
    if made.low > made.high:
        turned = f"interval({made.high:g},{made.low:g})"
        raise UserError(f"{made.key}: {made.low:g} to {made.high:g} holds no number; did you mean {turned}?")
    if made.log and made.low <= 0:
        raise UserError(f"{made.key}: a logarithmic scale begins above 0, not at {made.low:g}")
    return made
