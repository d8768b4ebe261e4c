"""Statistics: what repeated runs can say - means with intervals, differences in pairs, and how many more would tell."""

import math
from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

Seed = Hashable
SIGNIFICANCE = 0.05
CONFIDENCE = 1 - SIGNIFICANCE
MAX_SEEDS = 10_000  # that could be run in practice
# a number with more values than this, and with fewer runs for each of them on average, is cut into groups of equal size
MAX_LEVELS, MIN_RUNS_PER_LEVEL, GROUPS = 8, 2, 4


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
        deviation: Their standard deviation; NaN for fewer than two pairs.
        half_width: Of their 95 % interval, of this comparison alone; infinite for fewer than two pairs.
        p: Probability of a mean at least as far from 0 if there were no difference (Student's t test, two-sided),
            after the correction for several comparisons if `corrected` made one; NaN for fewer than two pairs.
        more: About how many further seeds would make the difference separable, if mean and spread stay as they are;
            0 if it is already, None if no number up to 10,000 would.
    """

    pairs: int
    mean: float
    deviation: float
    half_width: float
    p: float
    more: int | None

    @property
    def separable(self) -> bool:
        """Whether the difference is significant."""
        return self.p < SIGNIFICANCE

    def verdict(self, higher_is_better: bool | None) -> str:
        """Return what is known, in plain words.

        Args:
            higher_is_better: Whether large values are good; None if that is unknown.
        """
        if not self.pairs:
            return "no seed in common"
        if self.separable:
            if higher_is_better is None:
                return "larger" if self.mean > 0 else "smaller"
            return "better" if (self.mean > 0) == higher_is_better else "worse"
        if self.pairs == 1:
            return "one seed tells nothing"
        return f"not separable; about {self.more} more seeds would tell" if self.more else "not separable"


def difference(values: Mapping[Seed, float], baseline: Mapping[Seed, float]) -> Difference:
    """Compare two configs by the seeds that both were run with: what a seed does to both cancels out.

    Args:
        values: Result by seed.
        baseline: Likewise.
    """
    apart = [values[seed] - baseline[seed] for seed in values if seed in baseline]
    if len(apart) < 2:
        return Difference(len(apart), apart[0] if apart else math.nan, math.nan, math.inf, math.nan, None)
    made = estimate(apart)
    p = _p_value(made)
    more = 0 if p < SIGNIFICANCE else _more_seeds(made, SIGNIFICANCE)
    return Difference(made.count, made.mean, made.deviation, made.half_width, p, more)


def corrected(differences: Sequence[Difference]) -> list[Difference]:
    """Return several comparisons with p values that hold for all of them together.

    With a significance of 5 %, the probability that at least one of them is called separable by chance is 5 % at most.
    Those with fewer than two pairs are not counted, as they are never called separable.

    Source:
        Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    tested = sorted((each.p, place) for place, each in enumerate(differences) if not math.isnan(each.p))
    made = [*differences]
    least = 0.0
    for rank, (p, place) in enumerate(tested):
        least = max(least, min(1.0, (len(tested) - rank) * p))
        made[place] = replace(made[place], p=least)
    found = sum(each.separable for each in made)
    level = SIGNIFICANCE / max(1, len(tested) - found)  # that the next one has to reach
    for _, place in tested:
        each = made[place]
        sample = Estimate(each.pairs, each.mean, each.deviation, each.half_width)
        made[place] = replace(each, more=0 if each.separable else _more_seeds(sample, level))
    return made


def _p_value(made: Estimate) -> float:
    if made.deviation == 0:
        return 1.0 if made.mean == 0 else 0.0
    from scipy.special import stdtr  # `scipy.stats` calls it as well, and takes half a second to import

    t = made.mean / (made.deviation / math.sqrt(made.count))
    return float(2 * stdtr(made.count - 1, -abs(t)))


def _more_seeds(made: Estimate, level: float) -> int | None:
    """Return how many further seeds would make a mean significant at a level that it does not reach."""
    if made.mean == 0:
        return None
    normal = t_quantile(MAX_SEEDS, 1 - level)  # Student's needs a few more seeds
    count = max(made.count + 1, math.ceil((normal * made.deviation / made.mean) ** 2))
    while count <= MAX_SEEDS:
        if abs(made.mean) > t_quantile(count - 1, 1 - level) * made.deviation / math.sqrt(count):
            return count - made.count
        count += 1
    return None


def importances(settings: Sequence[Mapping[str, object]], values: Sequence[float]) -> dict[str, float]:
    """Return how much of the variance of a result each parameter explains by itself, its eta squared: from 0 to 1.

    Args:
        settings: Of each run: the value of each parameter. A number with more than 8 values that are hardly ever
            repeated, as in a search, is cut into 4 groups, and what these would explain by chance is subtracted.
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
    """Return the level of each value, and whether values were put together for that."""
    names = [str(value) for value in found]
    numbers = [value for value in found if isinstance(value, int | float)]
    count = len({*names})
    if count <= MAX_LEVELS or len(numbers) < len(found) or len(found) >= MIN_RUNS_PER_LEVEL * count:
        return names, False
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
