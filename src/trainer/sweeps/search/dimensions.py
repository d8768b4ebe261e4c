"""Numeric and categorical dimensions of a search space, parsed from the axes of a command line."""

import math
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from trainer.core.errors import UserError

Value = str | int | float


@dataclass(frozen=True)
class NumericDimension:
    """A number.

    Args:
        key: Key as in the override.
        low: Lower bound.
        high: Upper bound, inclusive.
        step: Distance of the values; None for any number.
        log: Whether the scale is logarithmic.
        whole: Whether the values are integers.
    """

    key: str
    low: float
    high: float
    step: float | None
    log: bool
    whole: bool

    @property
    def corner_values(self) -> tuple[Value, ...]:
        """Values that are checked before the first trial."""
        return self.low, self.high

    def __str__(self) -> str:
        kind = "whole numbers " if self.whole else ""
        step = f" in steps of {self.step:g}" if self.step and not (self.whole and self.step == 1) else ""
        return f"{kind}{self.low:g} to {self.high:g}{step}{', logarithmic' if self.log else ''}"


@dataclass(frozen=True)
class CategoricalDimension:
    """A choice among values without order.

    Args:
        key: Key as in the override.
        values: Values as in the override.
    """

    key: str
    values: tuple[str, ...]

    @property
    def corner_values(self) -> tuple[Value, ...]:
        """Values that are checked before the first trial."""
        return self.values

    def __str__(self) -> str:
        return "one of " + ", ".join(self.values)


Dimension = NumericDimension | CategoricalDimension


def parse_axis(key: str, override: Override) -> Dimension:
    """Return the dimension that an axis of a command line describes.

    Raises:
        UserError: The axis has no value, or its bounds are invalid.
    """
    value: Any = override.value()
    log = "log" in getattr(value, "tags", ())
    if isinstance(value, IntervalSweep):
        return parse_interval(key, value)
    if isinstance(value, RangeSweep) and value.start is not None and value.stop is not None:
        numbers = list(value.range())
        if numbers:
            is_integer = all(isinstance(number, int) for number in numbers)
            if not log or (is_integer and value.step == 1):
                step = None if log else abs(value.step)
                return _validate_bounds(NumericDimension(key, min(numbers), max(numbers), step, log, is_integer))
            raise UserError(f"{key}: a range with a step cannot be logarithmic; expected interval(...)")
    values = tuple(override.sweep_string_iterator())
    if not values:
        raise UserError(f"{key}: search axis without values; expected at least one")
    return CategoricalDimension(key, tuple(dict.fromkeys(values)))


def parse_interval(key: str, interval: IntervalSweep) -> NumericDimension:
    """Return the dimension of an interval; its values are integers only if `int(...)` has converted both bounds.

    Raises:
        UserError: The bounds are invalid.
    """
    assert interval.start is not None
    assert interval.end is not None
    is_integer = isinstance(interval.start, int) and isinstance(interval.end, int)
    log = "log" in interval.tags
    step = 1 if is_integer and not log else None
    return _validate_bounds(NumericDimension(key, interval.start, interval.end, step, log, is_integer))


def _validate_bounds(dimension: NumericDimension) -> NumericDimension:
    key = dimension.key
    low = dimension.low
    high = dimension.high
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UserError(f"{key}: interval from {low:g} to {high:g}; expected finite bounds")
    if low > high:
        raise UserError(f"{key}: empty interval from {low:g} to {high:g}; did you mean interval({high:g},{low:g})?")
    if dimension.log and low <= 0:
        raise UserError(f"{key}: logarithmic scale from {low:g}; expected a lower bound above 0")
    return dimension
