"""Intervals, paired comparisons and importances."""

import math
import random

import numpy as np
import pytest
from scipy import stats

from trainer.reports.statistics import (
    Difference,
    compare_pairs,
    correct_p_values,
    estimate,
    t_quantile,
)


def test_the_quantiles_are_students():
    assert [round(t_quantile(freedom), 3) for freedom in (1, 2, 9, 1000)] == [12.706, 4.303, 2.262, 1.962]


def test_an_interval_is_as_in_the_textbook():
    result = estimate([4.0, 5.0, 6.0])
    assert (result.count, result.mean, result.std) == (3, 5.0, 1.0)
    assert result.half_width == pytest.approx(4.3027 / math.sqrt(3), abs=1e-4)


def test_one_run_has_no_interval():
    result = estimate([4.0])
    assert math.isnan(result.std)
    assert math.isinf(result.half_width)


def test_95_percent_of_intervals_contain_the_true_mean():
    rng = random.Random(1)
    covered = 0
    for _ in range(2000):
        result = estimate([rng.gauss(3.0, 2.0) for _ in range(5)])
        covered += abs(result.mean - 3.0) <= result.half_width
    assert 0.94 <= covered / 2000 <= 0.96


def test_paired_differences_are_significant_despite_the_variance_of_seeds():
    rng = random.Random(2)
    by_seed = {seed: rng.gauss(0, 5) for seed in range(6)}
    baseline = by_seed
    improved = {seed: value + 1 + rng.gauss(0, 0.1) for seed, value in by_seed.items()}
    difference = compare_pairs(improved, baseline)
    assert (difference.pairs, difference.is_significant, difference.additional_seeds) == (6, True, 0)
    assert difference.mean == pytest.approx(1, abs=0.2)
    assert (difference.verdict(True), difference.verdict(False)) == ("better", "worse")


def test_the_verdict_has_the_number_of_additional_seeds():
    difference = compare_pairs({1: 1.0, 2: -0.5, 3: 0.8}, {1: 0.0, 2: 0.0, 3: 0.0})
    assert not difference.is_significant
    assert difference.verdict(True) == f"not significant; needs about {difference.additional_seeds} more seeds"
    std = estimate([1.0, -0.5, 0.8]).std
    count = difference.pairs + difference.additional_seeds
    assert difference.mean > t_quantile(count - 1) * std / math.sqrt(count)
    assert difference.mean <= t_quantile(count - 2) * std / math.sqrt(count - 1)


def test_equal_configs_are_not_significant_for_any_number_of_seeds():
    difference = compare_pairs({1: 1.0, 2: 2.0}, {1: 1.0, 2: 2.0})
    assert (difference.is_significant, difference.additional_seeds, difference.verdict(True)) == (
        False,
        None,
        "not significant",
    )


def test_only_common_seeds_count():
    assert compare_pairs({1: 1.0}, {2: 1.0}).verdict(True) == "no common seed"
    assert compare_pairs({1: 2.0, 3: 1.0}, {1: 1.0}).verdict(True) == "one common seed"


def test_the_p_value_is_that_of_scipys_paired_test():
    values, baseline = {1: 1.2, 2: 0.7, 3: 1.9, 4: 1.0}, {1: 1.0, 2: 0.8, 3: 1.1, 4: 0.9}
    difference = compare_pairs(values, baseline)
    assert difference.p == pytest.approx(stats.ttest_rel([*values.values()], [*baseline.values()]).pvalue, rel=1e-12)
    assert compare_pairs({1: 1.0, 2: 2.0}, {1: 1.0, 2: 2.0}).p == 1.0
    assert compare_pairs({1: 2.0, 2: 3.0}, {1: 1.0, 2: 2.0}).p == 0.0
    assert math.isnan(compare_pairs({1: 2.0}, {1: 1.0}).p)


def with_p(p, pairs=5):
    return Difference(pairs, mean=0.1, std=0.1, half_width=0.2, p=p, additional_seeds=None)


def test_several_comparisons_are_corrected_by_holms_method():
    difference = correct_p_values([with_p(0.01), with_p(0.04), with_p(math.nan, pairs=1), with_p(0.03), with_p(0.005)])
    assert [comparison.p for comparison in difference if comparison.pairs > 1] == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )  # R: p.adjust
    assert [comparison.is_significant for comparison in difference] == [True, False, False, False, True]
    assert [comparison.p for comparison in correct_p_values([with_p(0.04)])] == [
        0.04
    ]  # one comparison needs no correction
    assert [comparison.p for comparison in correct_p_values([with_p(0.6), with_p(0.7)])] == [1.0, 1.0]
    assert correct_p_values([]) == []


def test_of_thirty_equal_configs_one_is_rarely_significant():
    rng = random.Random(5)
    alarms = 0
    for _ in range(200):
        baseline = {seed: rng.gauss(0, 1) for seed in range(5)}
        configs = [{seed: rng.gauss(0, 1) for seed in range(5)} for _ in range(30)]
        alarms += any(
            comparison.is_significant
            for comparison in correct_p_values([compare_pairs(values, baseline) for values in configs])
        )
    assert alarms <= 20  # 5 % of 200, and some luck; without a correction there are more than 100


def test_the_additional_seeds_are_those_of_the_corrected_test():
    values = [1.0, -0.5, 0.8, 0.4]
    single, significant = compare_pairs(dict(enumerate(values)), dict.fromkeys(range(4), 0.0)), with_p(0.0)
    _, _, difference = correct_p_values(
        [significant, significant, single]
    )  # both others are significant: the last one is tested at 5 %
    assert difference.additional_seeds == single.additional_seeds
    _, difference = correct_p_values([single, single])
    pairs = difference.pairs + difference.additional_seeds
    std = np.std(values, ddof=1)
    limits = [stats.t.ppf(1 - 0.05 / 4, count - 1) * std / np.sqrt(count) for count in (pairs - 1, pairs)]
    assert limits[0] >= np.mean(values) > limits[1]
    assert difference.additional_seeds > single.additional_seeds


def test_without_a_direction_the_verdict_is_larger_or_smaller():
    difference = compare_pairs({1: 1.0, 2: 1.1, 3: 1.2}, {1: 0.0, 2: 0.0, 3: 0.0})
    assert [difference.verdict(higher) for higher in (True, False, None)] == ["better", "worse", "larger"]
    assert compare_pairs({1: -1.0, 2: -1.1}, {1: 0.0, 2: 0.0}).verdict(None) == "smaller"
