"""Statistics: what repeated runs can say - means with intervals, differences in pairs, and how many more would tell."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

CONFIDENCE = 0.95
NORMAL = 1.96  # its quantile, of a normal distribution
MOST = 10_000  # seeds that anybody would run
MOST_LEVELS, GROUPS = 8, 4  # values of a number that are levels each; of more, groups of equal size


@dataclass(frozen=True)
class Estimate:
    """A mean over runs that differ in the seed alone.

    Args:
        count: Of runs.
        mean: Of their values.
        deviation: Their standard deviation; NaN for one run.
        half_width: Of the interval around the mean that holds the true one with 95 % probability; infinite for one run.
    """

    count: int
    mean: float
    deviation: float
    half_width: float


def estimate(values: Sequence[float]) -> Estimate:
    """Mean, standard deviation and Student's 95 % interval of at least one value.

    Source:
        Student 1908, The probable error of a mean.
    """
    if len(values) < 2:
        return Estimate(len(values), fmean(values), math.nan, math.inf)
    deviation = stdev(values)
    return Estimate(
        len(values), fmean(values), deviation, t_quantile(len(values) - 1) * deviation / math.sqrt(len(values))
    )


@dataclass(frozen=True)
class Difference:
    """How much better than a baseline, in pairs of equal seeds.

    Args:
        pairs: Number of seeds that both have.
        mean: Of the differences: this minus the baseline.
        half_width: Of their 95 % interval; infinite for fewer than two pairs.
        more: About how many further seeds would make the interval leave out 0, if mean and spread stay as they are;
            0 where it does already, None where no number up to 10,000 would.
    """

    pairs: int
    mean: float
    half_width: float
    more: int | None

    @property
    def separable(self) -> bool:
        """Whether the interval leaves out 0."""
        return abs(self.mean) > self.half_width

    def verdict(self, higher_is_better: bool) -> str:
        """In plain words."""
        if not self.pairs:
            return "no seed in common"
        if self.separable:
            return "better" if (self.mean > 0) == higher_is_better else "worse"
        if self.pairs == 1:
            return "one seed tells nothing"
        return f"not separable; about {self.more} more seeds would tell" if self.more else "not separable"


def difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Difference:
    """Compare two configs by the seeds that both were run with: what a seed does to both cancels out.

    Args:
        values: Result by seed.
        baseline: Likewise.
    """
    apart = [values[seed] - baseline[seed] for seed in sorted(values.keys() & baseline.keys())]
    if len(apart) < 2:
        return Difference(len(apart), apart[0] if apart else math.nan, math.inf, None)
    made = estimate(apart)
    return Difference(len(apart), made.mean, made.half_width, _more_seeds(made))


def _more_seeds(made: Estimate) -> int | None:
    if abs(made.mean) > made.half_width:
        return 0
    if abs(made.mean) * math.sqrt(MOST) <= NORMAL * made.deviation:
        return None
    count = max(made.count + 1, math.ceil((NORMAL * made.deviation / made.mean) ** 2))  # Student's needs a few more
    while abs(made.mean) <= t_quantile(count - 1) * made.deviation / math.sqrt(count):
        count += 1
    return count - made.count


def importances(settings: Sequence[Mapping[str, object]], values: Sequence[float]) -> dict[str, float]:
    """How much of the variance of a result each parameter explains by itself: its main effect, between 0 and 1.

    Args:
        settings: Of each run: the value of each parameter. Where a number has many values, as in a search, they are put
            into a few groups, and what these would explain by chance is taken off.
        values: The result of each run.

    Returns:
        dict: Share of variance by parameter, the largest first. One that has another value in each run is left out, as
            that says nothing; empty where all results are equal.

    Source:
        Hutter, Hoos, Leyton-Brown 2014, An efficient approach for assessing hyperparameter importance: the main
        effects of a functional analysis of variance, here from the grid itself.
    """
    middle = fmean(values)
    total = sum((value - middle) ** 2 for value in values)
    if not total:
        return {}
    shares = {}
    for name in settings[0]:
        levels: dict[str, list[float]] = {}
        found, grouped = _levels([setting[name] for setting in settings])
        for level, value in zip(found, values, strict=True):
            levels.setdefault(level, []).append(value)
        if len(levels) == len(values):
            continue
        between = sum(len(level) * (fmean(level) - middle) ** 2 for level in levels.values())
        chance = (len(levels) - 1) * (total - between) / (len(values) - len(levels)) if grouped else 0.0
        shares[name] = max(0.0, between - chance) / total
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _levels(found: Sequence[object]) -> tuple[list[str], bool]:
    """The level of each value, and whether values were put together for that."""
    numbers = [value for value in found if isinstance(value, int | float)]
    if len({*map(str, found)}) <= MOST_LEVELS or len(numbers) < len(found):
        return [str(value) for value in found], False
    ordered = sorted(numbers)
    return [str(GROUPS * bisect_left(ordered, value) // len(ordered)) for value in numbers], True


def t_quantile(freedom: int, confidence: float = CONFIDENCE) -> float:
    """Half the width, in standard errors, of Student's interval.

    Args:
        freedom: Degrees of it, at least 1.
        confidence: Probability that the interval holds the true mean.
    """
    from scipy.special import stdtrit  # `scipy.stats` calls it as well, and takes half a second to import

    return float(stdtrit(freedom, (1 + confidence) / 2))
