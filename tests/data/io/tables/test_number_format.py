"""Numbers in text cells, in the formats of different countries."""

import math

import numpy as np
import pytest

from trainer.data.io.tables.number_format import (
    FORMATS,
    NumberFormat,
    cast_numbers,
    find_number_formats,
    parse_any_number,
    parse_number,
    parse_numbers,
    parse_plain_number,
)

pyarrow = pytest.importorskip("pyarrow", reason="columns are arrays of pyarrow")
POINT = NumberFormat()
COMMA = NumberFormat(",")
MISSING = ("", "NA")


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("12", 12.0),
        ("-1.5e-3", -0.0015),
        ("+.5", 0.5),
        ("3.", 3.0),
        (" 7 ", 7.0),
        ("1,234,567.5", 1234567.5),
        ("1.234.567,5", 1234567.5),
        ("1 234,5", 1234.5),
        ("1\u202f234.5", 1234.5),  # a narrow blank
        ("1'234.5", 1234.5),
        ("1\u2019234.5", 1234.5),
        ("$1,000", 1000.0),
        ("-€5", -5.0),
        ("5 €", 5.0),
        ("US$ 2.50", 2.5),
        ("45%", 45.0),
        ("(3.5)", -3.5),
        ("\u22124", -4.0),  # a minus sign
        ("\uff11\uff12", 12.0),  # full width
        ("\u0663", 3.0),  # Arabic
        ("\u200b5", 5.0),
    ],
)
def test_a_number_is_read_in_any_usual_format(cell, number):
    assert parse_any_number(cell) == number


@pytest.mark.parametrize(
    "cell",
    ["", "x", "1_000", "0x10", "1,2,3", "12,34,567.5", "1..2", "--1", "1e", "5 6", "10²", "$", "1-2", "10%%", "nan"],
)
def test_other_text_is_no_number(cell):
    assert find_number_formats(cell) == set()
    assert math.isnan(parse_any_number(cell))


def test_a_cell_may_have_several_formats():
    assert find_number_formats("1,234") == {
        COMMA,
        NumberFormat(".", ","),
        NumberFormat(",", "."),
        NumberFormat(",", " "),
    }
    assert find_number_formats("12") == {*FORMATS}
    assert find_number_formats("1,5") == {COMMA, NumberFormat(",", "."), NumberFormat(",", " ")}


def test_separators_and_currency_are_not_plain():
    assert parse_plain_number("1.5") == 1.5
    assert all(math.isnan(parse_plain_number(cell)) for cell in ("$1", "1,000", "5%", "(1)"))


def test_numbers_out_of_range_are_infinite_or_no_numbers():
    assert parse_number("1e400") == math.inf
    assert math.isnan(parse_number("1e-400"))
    assert parse_number("0.0e-400") == 0.0
    assert math.isnan(parse_any_number("1" * 500))


@pytest.mark.parametrize(
    ("cells", "number_format", "numbers"),
    [
        (["1", " 2.5 ", "NA", ""], POINT, [1, 2.5, math.nan, math.nan]),
        (["1,5", "1.000,25", "NA"], NumberFormat(",", "."), [1.5, 1000.25, math.nan]),
        (["1,000", "2"], NumberFormat(".", ","), [1000, 2]),
        (["$1", "2"], POINT, [1, 2]),
        (["1", "many"], POINT, [1, math.nan]),
        (["1", "nan"], POINT, [1, math.nan]),
        (["1", "inf"], POINT, [1, math.nan]),
        (["1e400", "1e-400", "0"], POINT, [math.inf, math.nan, 0]),
        ([], POINT, []),
    ],
)
def test_a_column_is_read_as_its_cells(cells, number_format, numbers):
    column = pyarrow.array(cells, pyarrow.string())
    np.testing.assert_array_equal(parse_numbers(column, number_format, MISSING), np.array(numbers, float))


def test_a_number_that_marks_missing_values_is_missing():
    column = pyarrow.array(["1", "-999", " -999 ", "2"])
    np.testing.assert_array_equal(parse_numbers(column, POINT, ("", "-999")), [1, math.nan, math.nan, 2])


@pytest.mark.parametrize("cell", ["x", "nan", "inf", "1e400", "1e-400", "$1", "1,5"])
def test_a_column_with_an_unusual_cell_is_not_cast(cell):
    assert cast_numbers(pyarrow.array(["1", cell]), POINT, MISSING) is None


def test_blocks_of_a_column_may_be_slices():
    column = pyarrow.array(["x", "1", "NA", "3", "x"]).slice(1, 3)
    np.testing.assert_array_equal(parse_numbers(column, POINT, MISSING), [1, math.nan, 3])
