"""Fraction of the variance of a metric that each parameter of a sweep explains."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from statistics import fmean

from trainer.core.mappings import group_pairs

# a numeric parameter with more levels, and fewer runs per level on average, is split into groups of equal size
MAX_LEVELS = 8
MIN_RUNS_PER_LEVEL = 2
NUM_GROUPS = 4


def compute_importances(settings: Sequence[Mapping[str, object]], values: Sequence[float]) -> dict[str, float]:
    """Return the fraction of the variance that each parameter explains by itself (eta squared), the largest first.

    Parameters with a different value in each run are left out. The result is empty if all values are equal.

    Args:
        settings: Parameters of each run. Numbers with more than 8 values and fewer than 2 runs per value, as in a
            search, are split into 4 groups; the fraction that these explain by chance is subtracted.
        values: Metric of each run.

    Source:
        Hutter, Hoos, Leyton-Brown 2014, An efficient approach for assessing hyperparameter importance: the main
        effects of a functional analysis of variance, here from the grid itself.
    """
    mean = fmean(values)
    total = sum((value - mean) ** 2 for value in values)
    if not total:
        return {}
    fractions = {}
    for name in settings[0]:
        levels, is_grouped = _discretize([setting[name] for setting in settings])
        groups = group_pairs(zip(levels, values, strict=True))
        if len(groups) == len(values):
            continue
        between = sum(len(group) * (fmean(group) - mean) ** 2 for group in groups.values())
        chance = (len(groups) - 1) * (total - between) / (len(values) - len(groups)) if is_grouped else 0.0
        fractions[name] = max(0.0, between - chance) / total
    return dict(sorted(fractions.items(), key=lambda item: -item[1]))


def compute_chance(values: Sequence[object]) -> float:
    """Return the fraction of the variance that a parameter without effect explains on average.

    Args:
        values: Value of the parameter in each run.
    """
    levels, is_grouped = _discretize(values)  # `compute_importances` subtracts it for groups of numbers
    return 0.0 if is_grouped or len(values) < 2 else (len({*levels}) - 1) / (len(values) - 1)


def _discretize(values: Sequence[object]) -> tuple[list[str], bool]:
    """Return the level of each value, and whether numbers were grouped."""
    names = [str(value) for value in values]
    numbers = [value for value in values if isinstance(value, int | float)]
    count = len({*names})
    if count <= MAX_LEVELS or len(numbers) < len(values) or len(values) >= MIN_RUNS_PER_LEVEL * count:
        return names, False
    ordered = sorted(numbers)
    return [str(NUM_GROUPS * bisect_left(ordered, value) // len(ordered)) for value in numbers], True
