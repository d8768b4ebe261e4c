"""Space: what an adaptive search may vary, read from the axes of a command line. Imports neither torch nor Optuna.

The axes are those of every sweep, in Hydra's grammar: an interval or a range is a number from low to high, on a
logarithmic scale with `tag(log, ...)`; anything else is a choice among values that have no order.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from trainer.compose import Composer
from trainer.errors import UserError
from trainer.sweep.plan import params_of
from trainer.sweep.shared import shared_config

NOT_IN_A_SEARCH = ("seeds", "samples", "zip", "grids")  # of `sweep`: other ways to make jobs of axes
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


@dataclass(frozen=True)
class Space:
    """What a search varies, and what it leaves as it is.

    Args:
        fixed: Words that all trials share.
        dimensions: What is varied.
    """

    fixed: tuple[str, ...]
    dimensions: tuple[Numbers | Choices, ...]

    def words(self, values: dict[str, Value]) -> list[str]:
        """The words of the job that tries these values, by key."""
        return [*self.fixed, *(f"{key}={value}" for key, value in values.items())]

    def corners(self) -> Iterator[list[str]]:
        """Jobs in which each end of each number and each choice stands once: what is right for them is for the rest."""
        first = {each.key: each.ends[0] for each in self.dimensions}
        yield self.words(first)
        for each in self.dimensions:
            for value in each.ends[1:]:
                yield self.words(first | {each.key: value})

    def described(self) -> dict[str, dict[str, Any]]:
        """Plain facts, for the ledger."""
        return {each.key: asdict(each) for each in self.dimensions}


def space_of(composer: Composer, typed: Sequence[str]) -> Space:
    """The space of a search.

    Args:
        composer: Reads the words, and makes the config, which may hold axes and settings as well.
        typed: The words of the command line.

    Raises:
        UserError: An axis has no value or none that makes sense, nothing is varied, or `sweep` says that jobs are to
            be made in other ways as well.
        HydraException: A word does not follow Hydra's grammar.
    """
    config = shared_config(composer, typed)
    asked = [name for name in NOT_IN_A_SEARCH if config and config.sweep[name]]
    if asked:
        raise UserError(f"sweep.{asked[0]}: a search chooses its jobs by itself; leave it or sweep.trials out")
    params = params_of(config)
    fixed: dict[str, str] = {}
    dimensions: dict[str, Numbers | Choices] = {}
    for each in composer.parsed([*(f"{key}={value}" for key, value in params.items()), *typed]):
        key = each.get_key_element()
        fixed.pop(key, None)
        dimensions.pop(key, None)
        if each.is_sweep_override():
            dimensions[key] = _dimension(key, each)
        else:
            fixed[key] = each.input_line or ""
    if not dimensions:
        offer = "give a key an interval, a range or several values: 'optimizer.lr=tag(log,interval(0.0001,0.1))'"
        raise UserError(f"sweep.trials: there is nothing to search\n  {offer}")
    return Space((*fixed.values(),), (*dimensions.values(),))


def _dimension(key: str, override: Override) -> Numbers | Choices:
    value: Any = override.value()
    log = "log" in getattr(value, "tags", ())
    if isinstance(value, IntervalSweep):
        low, high = value.start or 0, value.end or 0
        whole = isinstance(low, int)
        return _checked(Numbers(key, low, high, 1 if whole and not log else None, log, whole))
    if isinstance(value, RangeSweep) and value.start is not None and value.stop is not None:
        taken = list(value.range())
        if taken:
            whole = all(isinstance(number, int) for number in taken)
            if not log or value.step == 1:
                step = None if log else abs(value.step)
                return _checked(Numbers(key, min(taken), max(taken), step, log, whole))
            raise UserError(f"{key}: a range with a step cannot be logarithmic; interval(...) can")
    values = tuple(override.sweep_string_iterator())
    if not values:
        raise UserError(f"{key}: this axis of the search has no value; leave it out, or give it some")
    return Choices(key, tuple(dict.fromkeys(values)))


def _checked(made: Numbers) -> Numbers:
    if not (math.isfinite(made.low) and math.isfinite(made.high)):
        raise UserError(f"{made.key}: an interval needs two finite ends, not {made.low:g} and {made.high:g}")
    if made.low > made.high:
        turned = f"interval({made.high:g},{made.low:g})"
        raise UserError(f"{made.key}: {made.low:g} to {made.high:g} holds no number; did you mean {turned}?")
    if made.log and made.low <= 0:
        raise UserError(f"{made.key}: a logarithmic scale begins above 0, not at {made.low:g}")
    return made
