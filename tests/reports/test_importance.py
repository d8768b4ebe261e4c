"""Importance of the parameters of a sweep."""

import random

import pytest

from trainer.reports.importance import compute_chance, compute_importances


def test_the_importance_of_a_grid_axis_is_its_main_effect():
    """Ten rates, of which the last is bad, times three widths, times two seeds."""
    settings, results = [], []
    for rate in range(10):
        for width in range(3):
            for seed in range(2):
                settings.append({"rate": rate, "width": width})
                results.append((9.0 if rate == 9 else 0.0) + 2.0 * width + seed)
    # between rates: 6 * (9 * 0.9**2 + 8.1**2) = 437.4; widths: 20 * (2**2 + 2**2) = 160; seeds: 60 * 0.25 = 15
    assert compute_importances(settings, results) == pytest.approx({"rate": 437.4 / 612.4, "width": 160 / 612.4})


def test_a_parameter_that_explains_everything_has_importance_1():
    settings = [{"lr": lr, "width": width} for lr in (1, 2) for width in (8, 16)]
    assert compute_importances(settings, [0.0, 0.0, 1.0, 1.0]) == {"lr": 1.0, "width": 0.0}
    assert compute_importances(settings, [1.0, 1.0, 1.0, 1.0]) == {}


def test_many_values_are_grouped_and_the_fraction_by_chance_is_subtracted():
    rng = random.Random(1)
    settings = [{"lr": rng.random(), "noise": rng.random()} for _ in range(200)]
    importances = compute_importances(settings, [setting["lr"] + 0.05 * rng.random() for setting in settings])
    assert importances["lr"] > 0.85
    assert importances["noise"] < 0.03


def test_a_parameter_without_effect_explains_as_much_as_computed():
    rng = random.Random(1)
    widths = [width for width in range(4) for _ in range(3)]
    fractions = [
        compute_importances([{"width": width} for width in widths], [rng.gauss(0, 1) for _ in widths])["width"]
        for _ in range(500)
    ]
    assert compute_chance(widths) == pytest.approx(3 / 11)
    assert sum(fractions) / 500 == pytest.approx(3 / 11, abs=0.03)


def test_grouped_numbers_explain_nothing_by_chance():
    assert compute_chance([0.01 * number for number in range(30)]) == 0
