"""Encoding of cells as numbers."""

import math
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from trainer.core.errors import UserError
from trainer.data.io.tables.date_format import DateFormat
from trainer.data.io.tables.number_format import NumberFormat
from trainer.data.io.tables.table_rows import Dialect
from trainer.data.io.tables.text_table import TextTable
from trainer.data.tabular.columns import Column
from trainer.data.tabular.encoding import (
    DATE_FEATURES,
    TEXT_FEATURES,
    count_numbers,
    count_slots,
    encode_categories,
    encode_numbers,
    hash_texts,
)

pyarrow = pytest.importorskip("pyarrow", reason="columns are arrays of pyarrow")
MISSING = ("", "NA")


def make_table(cells):
    column = pyarrow.array(cells, pyarrow.string())
    return TextTable(Path("a.csv"), Dialect(), ("x",), [column], lines=range(2, 2 + len(cells)))


def encode(cells, kind, **fields):
    return encode_numbers(make_table(cells), Column(0, "x", kind, **fields), 0, MISSING)


def test_numbers_are_read_in_the_format_of_their_column():
    values = encode(["1.000,5", "NA", " 2 "], "number", number_format=NumberFormat(",", "."))
    np.testing.assert_array_equal(values, [[1000.5], [math.nan], [2.0]])


def test_booleans_are_1_and_0():
    values = encode(["Yes", "no", "TRUE", "f", "", "on"], "boolean")
    np.testing.assert_array_equal(values[:, 0], [1, 0, 1, 0, math.nan, 1])


def test_categories_are_their_index_then_others_then_missing_ones():
    column = Column(0, "x", "category", categories=("red", "NA"))
    codes = encode_categories(make_table(["red", " NA", "blue", "", "red "]), column, 0, MISSING)
    assert codes.tolist() == [0, 1, 2, 3, 0]
    assert (count_slots(column), count_numbers(column)) == (4, 0)


def test_dates_are_days_and_positions_in_the_year_the_week_and_the_day():
    cells = ["1970-01-01", "2020-03-15 06:00", "", "1969-12-29 18:00"]
    values = encode(cells, "date", date_format=DateFormat())
    assert values.shape == (4, DATE_FEATURES)
    assert np.isnan(values[2]).all()
    for row, cell in enumerate(cells):
        if not cell:
            continue
        time = datetime.fromisoformat(cell)
        parts = ((time.month - 1) / 12, time.weekday() / 7, time.hour / 24)
        waves = [function(2 * math.pi * part) for part in parts for function in (math.sin, math.cos)]
        days = (time - datetime(1970, 1, 1)).total_seconds() / 86400
        assert values[row].tolist() == pytest.approx([days, *waves], abs=1e-9)


def test_texts_with_the_same_words_are_equal():
    first, other_case, other, missing, blank = hash_texts(
        ["A red car!", "a RED car", "a blue car", "NA", "  "], MISSING
    )
    assert first.tolist() == other_case.tolist()
    assert 0 < first @ other < 1
    assert np.linalg.norm(first) == pytest.approx(1)
    assert not missing.any()
    assert not blank.any()
    assert len(first) == TEXT_FEATURES
    assert first @ hash_texts(["car red a"], ())[0] < 1  # the order matters


@pytest.mark.parametrize(
    ("cells", "kind", "message"),
    [
        (["1", "many"], "number", "a.csv, line 3, column 'x' has 'many', expected a number; add it to data.missing"),
        (["1", "1e999"], "number", "a.csv, line 3, column 'x' has '1e999', which is out of the range of 64-bit floats"),
        (["1", "1,5"], "number", "a.csv, line 3, column 'x' has '1,5', expected a number; add it to data.missing"),
        (["yes", "1"], "boolean", "a.csv, line 3, column 'x' has '1', expected a boolean; add it"),
        (["yes", "maybe"], "boolean", "a.csv, line 3, column 'x' has 'maybe', expected a boolean; add it"),
        (["2020-01-01", "2020-13-01"], "date", "a.csv, line 3, column 'x' has '2020-13-01', expected a date; add it"),
    ],
)
def test_a_cell_of_another_type_is_an_error_with_its_line(cells, kind, message):
    with pytest.raises(UserError) as error:
        encode(cells, kind, date_format=DateFormat())
    assert str(error.value).startswith(message)


def test_an_empty_cell_is_an_error_if_it_does_not_mark_a_missing_value():
    with pytest.raises(UserError, match=r"^a\.csv, line 3, column 'x' is missing; add it to data\.missing"):
        encode_numbers(make_table(["1", ""]), Column(0, "x", "number"), 0, ("NA",))
