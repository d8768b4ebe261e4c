"""Statistics of repeated runs: intervals hold what they promise, pairs tell apart what means do not."""

import math
import random

import pytest

from trainer.sweep.statistics import difference, estimate, importances, t_quantile


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
