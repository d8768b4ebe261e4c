"""Formats of numbers, tables and curves in text."""

import math

import pytest

from trainer.core.formatting import SPARKLINE_CHARS, format_markdown_table, format_number, format_sparkline


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.123456, "0.1235"), (12345678.0, "1.235e+07"), (3, "3"), (math.nan, "nan")],
)
def test_numbers_have_four_significant_digits(value, text):
    assert format_number(value) == text


def test_a_table_escapes_bars_and_line_breaks():
    table = format_markdown_table(["a", "b"], [["x|y", "two\nlines"]])
    assert table == "| a | b |\n| --- | --- |\n| x\\|y | two lines |"


def test_a_sparkline_is_scaled_to_its_values_or_to_a_given_range():
    assert format_sparkline([0.0, 1.0]) == "▁█"
    assert format_sparkline([0.0, 1.0], 0.0, 7.0) == "▁▂"
    assert format_sparkline([5.0, 5.0]) == "▁▁"
    assert format_sparkline([]) == ""
    assert len(format_sparkline([*range(1000)])) <= SPARKLINE_CHARS
