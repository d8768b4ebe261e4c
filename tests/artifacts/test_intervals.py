"""Texts of the intervals of test metrics."""

import pytest

from trainer.artifacts.intervals import format_intervals

BOUNDS = {"low": 0.76981, "high": 0.85274, "method": "Wilson"}


def test_bounds_have_four_digits():
    assert format_intervals({"intervals": {"test/accuracy": BOUNDS}}) == {"test/accuracy": "0.7698 to 0.8527"}


@pytest.mark.parametrize("entry", [{"reason": "one example"}, {"low": 0.1}, {"high": 0.1}, {"low": "x", "high": 1.0}])
def test_a_metric_without_valid_bounds_has_no_text(entry):
    assert format_intervals({"intervals": {"test/loss": entry}}) == {}
    assert format_intervals({}) == {}
