"""Formats of numbers, tables and curves in text."""

import math
import sys
from pathlib import Path

import pytest

import trainer
from trainer.core.formatting import (
    SPARKLINE_CHARS,
    format_markdown_table,
    format_number,
    format_sparkline,
    mean,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.123456, "0.1235"), (12345678.0, "1.235e+07"), (3, "3"), (math.nan, "nan")],
)
def test_numbers_have_four_significant_digits(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, ""), (0.123456, "+0.1235"), (-2.0, "-2"), (0.0, "+0")])
def test_numbers_can_have_a_sign(value, text):
    assert format_number(value, signed=True) == text


def test_no_other_module_formats_numbers_with_four_digits():
    source = Path(trainer.__file__).parent
    files = [str(file.relative_to(source)) for file in source.rglob("*.py") if ".4g" in file.read_text()]
    assert files == ["core/formatting.py"]


def test_a_table_escapes_bars_and_line_breaks():
    table = format_markdown_table(["a|b", "two\nwords"], [["x|y", "two\nlines"]])
    assert table == "| a\\|b | two words |\n| --- | --- |\n| x\\|y | two lines |"


def test_a_sparkline_is_scaled_to_its_values_or_to_a_given_range():
    assert format_sparkline([0.0, 1.0]) == "▁█"
    assert format_sparkline([0.0, 1.0], 0.0, 7.0) == "▁▂"
    assert format_sparkline([5.0, 5.0]) == "▁▁"
    assert format_sparkline([]) == ""
    assert len(format_sparkline([*range(1000)])) <= SPARKLINE_CHARS
    assert format_sparkline([-1.0, 0.5, 3.0], 0.0, 1.0) == "▁▅█"


def test_a_sparkline_has_gaps_at_values_that_are_not_finite():
    assert format_sparkline([0.0, math.inf, -math.inf, math.nan, 1.0]) == "▁   █"
    assert format_sparkline([math.inf, math.nan]) == "  "
    assert format_sparkline([math.inf, 0.0] * 16 + [math.inf, -math.inf, 1.0, 1.0] * 8) == "▁" * 16 + " █" * 8


def test_a_sparkline_of_huge_and_tiny_values_does_not_overflow():
    largest = sys.float_info.max
    assert format_sparkline([-largest, 0.0, largest]) == "▁▅█"
    assert format_sparkline([largest] * 64) == "▁" * 32
    assert format_sparkline([0.0, 5e-324]) == "▁▁"


def test_the_mean_is_exact_for_equal_values_and_without_overflow():
    assert mean([0.1] * 7) == 0.1
    assert mean([sys.float_info.max] * 7) == sys.float_info.max
    assert mean([1.0, math.nan, 2.0]) == 1.5
    assert math.isnan(mean([math.inf]))
