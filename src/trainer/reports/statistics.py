"""Confidence intervals, paired differences over seeds or folds, and importance of parameters."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean, stdev

from trainer.reports.folds import Folds

Seed = Hashable
SeedValues = Mapping[Seed, float]
SIGNIFICANCE = 0.05
CONFIDENCE = 1 - SIGNIFICANCE
MAX_SEEDS = 10_000


@dataclass(frozen=True)
class Estimate:
    """Mean of a sample with its 95 % confidence interval.

    Args:
        count: Sample size.
        mean: Sample mean.
        std: Sample standard deviation; NaN for one value.
        error: Standard error of the mean; NaN for one value.
        half_width: Half the width of the interval; infinite for one value.
    """

    count: int
    mean: float
    std: float
    error: float
    half_width: float


def estimate(values: Sequence[float], folds: Folds | None = None) -> Estimate:
    """Return mean, standard deviation and Student's 95 % interval of at least one value.

    Values of folds depend on each other, because the folds share training examples. The variance of their mean is
    therefore not 1 / n of the variance of a value, but 1 / n + (test examples) / (training examples).

    Args:
        values: Values of runs.
        folds: Cross-validation that the runs are part of. Defaults to None: independent values.

    Source:
        Student 1908, The probable error of a mean; Nadeau and Bengio 2003, Inference for the generalization error.
    """
    count = len(values)
    if count < 2:
        return Estimate(count, fmean(values), math.nan, math.nan, math.inf)
    std = stdev(values)
    error = std * math.sqrt(1 / count + (folds.test_ratio if folds else 0.0))
    return Estimate(count, fmean(values), std, error, t_quantile(count - 1) * error)


def wilson_interval(successes: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion.

    Source:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    mean = successes / count
    center = (mean + z**2 / (2 * count)) / (1 + z**2 / count)
    half_width = z / (1 + z**2 / count) * math.sqrt(mean * (1 - mean) / count + z**2 / (4 * count**2))
    return max(0.0, center - half_width), min(1.0, center + half_width)


def compute_mcnemar_p(first_only: int, second_only: int) -> float:
    """Return the exact two-sided p value for equal accuracies of two classifiers on the same examples.

    Args:
        first_only: Examples that only the first one classifies correctly.
        second_only: Examples that only the second one classifies correctly.

    Source:
        McNemar 1947, Note on the sampling error of the difference between correlated proportions; the binomial test.
    """
    from scipy.special import bdtr  # importing `scipy.stats` takes half a second

    count = first_only + second_only
    return min(1.0, 2 * float(bdtr(min(first_only, second_only), count, 0.5)))


@dataclass(frozen=True)
class Difference:
    """Difference from a baseline, in pairs of equal seeds and folds.

    Args:
        pairs: Number of common seeds; with folds, of runs with a common seed and fold.
        mean: Mean difference: this minus the baseline.
        std: Standard deviation of the differences; NaN for fewer than two pairs.
        half_width: Half the width of the 95 % interval of this comparison; infinite for fewer than two pairs.
        p: Two-sided p value of Student's t test, corrected by `correct_p_values`; NaN for fewer than two pairs.
        additional_seeds: Approximate number of further seeds for a significant difference with the same mean and
            standard deviation; 0 if it is significant already, None if 10,000 seeds are not enough or with folds.
        folds: Cross-validation of the runs. Defaults to None: the runs are not folds.
    """

    pairs: int
    mean: float
    std: float
    half_width: float
    p: float
    additional_seeds: int | None
    folds: Folds | None = None

    @property
    def is_significant(self) -> bool:
        """True if `p` is below `SIGNIFICANCE`."""
        return self.p < SIGNIFICANCE

    def verdict(self, higher_is_better: bool | None) -> str:
        """Return the result of the comparison in words.

        Args:
            higher_is_better: Whether large values are good; None if unknown.
        """
        if not self.pairs:
            return "no common fold" if self.folds else "no common seed"
        if self.is_significant:
            if higher_is_better is None:
                return "larger" if self.mean > 0 else "smaller"
            return "better" if (self.mean > 0) == higher_is_better else "worse"
        if self.pairs == 1:
            return f"one common {'fold' if self.folds else 'seed'}"
        hint = f"; needs about {self.additional_seeds} more seeds" if self.additional_seeds else ""
        return f"not significant{hint}"


def compare_pairs(values: SeedValues, baseline: SeedValues, folds: Folds | None = None) -> Difference:
    """Compare two configs by the results of their common seeds, so that effects of a seed on both cancel out.

    Args:
        values: Metric by seed, or by seed and fold.
        baseline: The same of the baseline.
        folds: Cross-validation of the runs. Defaults to None: the runs are not folds.
    """
    differences = [values[seed] - baseline[seed] for seed in values if seed in baseline]
    if len(differences) < 2:
        mean = differences[0] if differences else math.nan
        return Difference(len(differences), mean, math.nan, math.inf, math.nan, None, folds)
    sample = estimate(differences, folds)
    p = _compute_p_value(sample)
    difference = Difference(sample.count, sample.mean, sample.std, sample.half_width, p, None, folds)
    return replace(difference, additional_seeds=_estimate_additional_seeds(difference, SIGNIFICANCE))


def correct_p_values(differences: Sequence[Difference]) -> list[Difference]:
    """Return comparisons with p values corrected for multiple testing.

    The probability of at least one false positive is then at most the significance level. Comparisons with fewer than
    two pairs are not tested.

    Source:
        Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    tested = sorted(
        (difference.p, index) for index, difference in enumerate(differences) if not math.isnan(difference.p)
    )
    corrected = [*differences]
    minimum = 0.0
    for rank, (p, index) in enumerate(tested):
        minimum = max(minimum, min(1.0, (len(tested) - rank) * p))
        corrected[index] = replace(corrected[index], p=minimum)
    significant = sum(difference.is_significant for difference in corrected)
    level = SIGNIFICANCE / max(1, len(tested) - significant)  # for the next comparison
    for _, index in tested:
        seeds = _estimate_additional_seeds(corrected[index], level)
        corrected[index] = replace(corrected[index], additional_seeds=seeds)
    return corrected


def _compute_p_value(sample: Estimate) -> float:
    if sample.std == 0:
        return 1.0 if sample.mean == 0 else 0.0
    from scipy.special import stdtr  # importing `scipy.stats` takes half a second

    t = sample.mean / sample.error
    return float(2 * stdtr(sample.count - 1, -abs(t)))


def _estimate_additional_seeds(difference: Difference, level: float) -> int | None:
    """Return the number of further seeds that would make the mean significant, or None if too many or with folds."""
    if difference.is_significant:
        return 0
    if difference.mean == 0 or difference.folds:
        return None
    normal = t_quantile(MAX_SEEDS, 1 - level)  # lower bound; Student's distribution needs a few more seeds
    first = max(difference.pairs + 1, math.ceil((normal * difference.std / difference.mean) ** 2))
    for count in range(first, MAX_SEEDS + 1):
        if abs(difference.mean) > t_quantile(count - 1, 1 - level) * difference.std / math.sqrt(count):
            return count - difference.pairs
    return None


def t_quantile(freedom: int, confidence: float = CONFIDENCE) -> float:
    """Return half the width of Student's confidence interval in standard errors, for `freedom` degrees of freedom."""
    from scipy.special import stdtrit  # importing `scipy.stats` takes half a second

    return float(stdtrit(freedom, (1 + confidence) / 2))
