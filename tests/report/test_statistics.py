"""Statistics of repeated runs: intervals hold what they promise, pairs tell apart what means do not."""

import math
import random

import numpy as np
import pytest
from scipy import stats

from trainer.report.statistics import Difference, corrected, difference, estimate, importances, t_quantile


def test_the_quantiles_are_students():
    assert [round(t_quantile(freedom), 3) for freedom in (1, 2, 9, 1000)] == [12.706, 4.303, 2.262, 1.962]


def test_an_interval_is_as_in_the_textbook():
    made = estimate([4.0, 5.0, 6.0])
    assert (made.count, made.mean, made.deviation) == (3, 5.0, 1.0)
    assert made.half_width == pytest.approx(4.3027 / math.sqrt(3), abs=1e-4)


def test_one_run_has_no_interval():
    made = estimate([4.0])
    assert math.isnan(made.deviation)
    assert math.isinf(made.half_width)


def test_of_many_intervals_ninety_five_in_a_hundred_hold_the_true_mean():
    chance = random.Random(1)
    held = 0
    for _ in range(2000):
        made = estimate([chance.gauss(3.0, 2.0) for _ in range(5)])
        held += abs(made.mean - 3.0) <= made.half_width
    assert 0.94 <= held / 2000 <= 0.96


def test_pairs_tell_apart_what_the_seeds_hide():
    chance = random.Random(2)
    of_seed = {seed: chance.gauss(0, 5) for seed in range(6)}
    baseline = of_seed
    better = {seed: value + 1 + chance.gauss(0, 0.1) for seed, value in of_seed.items()}
    found = difference(better, baseline)
    assert (found.pairs, found.separable, found.more) == (6, True, 0)
    assert found.mean == pytest.approx(1, abs=0.2)
    assert (found.verdict(True), found.verdict(False)) == ("better", "worse")


def test_what_cannot_be_told_says_how_many_more_seeds_would():
    found = difference({1: 1.0, 2: -0.5, 3: 0.8}, {1: 0.0, 2: 0.0, 3: 0.0})
    assert not found.separable
    assert found.verdict(True) == f"not separable; about {found.more} more seeds would tell"
    spread = estimate([1.0, -0.5, 0.8]).deviation
    enough = found.pairs + found.more
    assert found.mean > t_quantile(enough - 1) * spread / math.sqrt(enough)
    assert found.mean <= t_quantile(enough - 2) * spread / math.sqrt(enough - 1)


def test_equal_configs_are_not_separable_and_no_number_of_seeds_would_tell():
    found = difference({1: 1.0, 2: 2.0}, {1: 1.0, 2: 2.0})
    assert (found.separable, found.more, found.verdict(True)) == (False, None, "not separable")


def test_seeds_that_only_one_has_do_not_count():
    assert difference({1: 1.0}, {2: 1.0}).verdict(True) == "no seed in common"
    assert difference({1: 2.0, 3: 1.0}, {1: 1.0}).verdict(True) == "one seed tells nothing"


def test_the_probability_of_a_difference_is_that_of_scipys_paired_test():
    values, baseline = {1: 1.2, 2: 0.7, 3: 1.9, 4: 1.0}, {1: 1.0, 2: 0.8, 3: 1.1, 4: 0.9}
    found = difference(values, baseline)
    assert found.p == pytest.approx(stats.ttest_rel([*values.values()], [*baseline.values()]).pvalue, rel=1e-12)
    assert difference({1: 1.0, 2: 2.0}, {1: 1.0, 2: 2.0}).p == 1.0
    assert difference({1: 2.0, 2: 3.0}, {1: 1.0, 2: 2.0}).p == 0.0
    assert math.isnan(difference({1: 2.0}, {1: 1.0}).p)


def with_p(p, pairs=5):
    return Difference(pairs, mean=0.1, deviation=0.1, half_width=0.2, p=p, more=None)


def test_several_comparisons_are_corrected_as_holm_did():
    found = corrected([with_p(0.01), with_p(0.04), with_p(math.nan, pairs=1), with_p(0.03), with_p(0.005)])
    assert [each.p for each in found if each.pairs > 1] == pytest.approx([0.03, 0.06, 0.06, 0.02])  # R: p.adjust
    assert [each.separable for each in found] == [True, False, False, False, True]
    assert [each.p for each in corrected([with_p(0.04)])] == [0.04]  # one comparison needs no correction
    assert [each.p for each in corrected([with_p(0.6), with_p(0.7)])] == [1.0, 1.0]
    assert corrected([]) == []


def test_of_thirty_configs_that_are_all_alike_hardly_ever_one_is_called_better():
    chance = random.Random(5)
    alarms = 0
    for _ in range(200):
        baseline = {seed: chance.gauss(0, 1) for seed in range(5)}
        configs = [{seed: chance.gauss(0, 1) for seed in range(5)} for _ in range(30)]
        alarms += any(each.separable for each in corrected([difference(values, baseline) for values in configs]))
    assert alarms <= 20  # 5 % of 200, and some luck; without a correction there are more than 100


def test_the_seeds_that_would_tell_are_those_that_the_corrected_test_needs():
    values = [1.0, -0.5, 0.8, 0.4]
    alone, clear = difference(dict(enumerate(values)), dict.fromkeys(range(4), 0.0)), with_p(0.0)
    _, _, found = corrected([clear, clear, alone])  # both others are found: the last one is tested at 5 % itself
    assert found.more == alone.more
    _, found = corrected([alone, alone])
    pairs = found.pairs + found.more
    spread = np.std(values, ddof=1)
    needed = [stats.t.ppf(1 - 0.05 / 4, count - 1) * spread / np.sqrt(count) for count in (pairs - 1, pairs)]
    assert needed[0] >= np.mean(values) > needed[1]
    assert found.more > alone.more


def test_without_a_direction_the_verdict_says_larger_or_smaller():
    found = difference({1: 1.0, 2: 1.1, 3: 1.2}, {1: 0.0, 2: 0.0, 3: 0.0})
    assert [found.verdict(higher) for higher in (True, False, None)] == ["better", "worse", "larger"]
    assert difference({1: -1.0, 2: -1.1}, {1: 0.0, 2: 0.0}).verdict(None) == "smaller"


def test_a_grid_axis_of_many_values_has_the_share_of_its_main_effect():
    """Ten rates, of which the last is bad, times three widths, times two seeds."""
    settings, results = [], []
    for rate in range(10):
        for width in range(3):
            for seed in range(2):
                settings.append({"rate": rate, "width": width})
                results.append((9.0 if rate == 9 else 0.0) + 2.0 * width + seed)
    # between rates: 6 * (9 * 0.9**2 + 8.1**2) = 437.4; widths: 20 * (2**2 + 2**2) = 160; seeds: 60 * 0.25 = 15
    assert importances(settings, results) == pytest.approx({"rate": 437.4 / 612.4, "width": 160 / 612.4})


def test_a_parameter_that_explains_all_has_all_the_importance():
    settings = [{"lr": lr, "width": width} for lr in (1, 2) for width in (8, 16)]
    assert importances(settings, [0.0, 0.0, 1.0, 1.0]) == {"lr": 1.0, "width": 0.0}
    assert importances(settings, [1.0, 1.0, 1.0, 1.0]) == {}


def test_a_number_with_many_values_is_put_into_groups_and_chance_is_taken_off():
    dice = random.Random(1)
    settings = [{"lr": dice.random(), "noise": dice.random()} for _ in range(200)]
    shares = importances(settings, [setting["lr"] + 0.05 * dice.random() for setting in settings])
    assert shares["lr"] > 0.85
    assert shares["noise"] < 0.03
