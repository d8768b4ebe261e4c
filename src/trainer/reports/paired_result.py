"""Result of a statistical test of two runs. Imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PairedTest:
    """Comparison of two runs by a metric of the same test examples.

    Args:
        metric: Name of the metric.
        difference: Metric of the second run minus that of the first.
        low: Lower bound of the 95 % interval of the difference, from a bootstrap of the examples.
        high: Upper bound of the interval.
        p: Two-sided p value for equal metrics; not corrected for several metrics.
        method: Test of the p value.
    """

    metric: str
    difference: float
    low: float
    high: float
    p: float
    method: str
