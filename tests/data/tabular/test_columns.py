"""Types of columns, decided from their cells."""

import pytest

from trainer.core.errors import UserError
from trainer.data.io.tables.date_format import DateFormat
from trainer.data.io.tables.number_format import NumberFormat
from trainer.data.tabular.column_statistics import ColumnStatistics
from trainer.data.tabular.columns import (
    MAX_CATEGORIES,
    Column,
    choose_number_format,
    classify_column,
    convert_column,
    list_column_fields,
    restore_column,
)

pyarrow = pytest.importorskip("pyarrow", reason="columns are arrays of pyarrow")
MISSING = ("", "NA", "?")


def collect(cells, block=7):
    """Return the statistics of cells in small blocks."""
    statistics = ColumnStatistics(MISSING)
    for start in range(0, len(cells), block):
        statistics.update(pyarrow.array([*cells[start : start + block]], pyarrow.string()))
    return statistics


def classify(cells, name="x"):
    statistics = collect(cells)
    return classify_column(0, name, statistics, choose_number_format([statistics])[0])


def repeat(*cells, times=20):
    return [*cells] * times


COUNT = range(60)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([str(n / 7) for n in COUNT], "number"),
        (repeat("1", "2", "1"), "number"),
        ([f"{n},5" for n in COUNT], "number"),
        ([f"${n},000" for n in COUNT], "number"),
        ([*(str(n) for n in COUNT), "many"], "number"),  # a mistake, which is reported later
        (repeat("1", "1", "?"), "number"),
        ([*map(str, COUNT), *["-"] * 20], "number"),  # a marker of missing numbers, which is reported later
        ([*repeat("0", "1", "2"), "3+", "3+", "3+"], "category"),
        ([*repeat("0", "1", "2"), "-", "-", "-"], "number"),
        (repeat("yes", "no"), "boolean"),
        (repeat("TRUE", "False", ""), "boolean"),
        (repeat("y", "n"), "boolean"),
        (repeat("red", "green", "1"), "category"),
        (repeat("yes", "no", "maybe"), "category"),
        ([f"2020-01-{1 + n % 28:02}" for n in COUNT], "date"),
        ([f"{1 + n % 28}.3.2021" for n in COUNT], "date"),
        ([f"2020-01-01 {n % 24:02}:30" for n in COUNT], "date"),
        ([*(f"2020-01-{1 + n % 28:02}" for n in COUNT), "2020-02-30"], "date"),  # a mistake too
        ([f"some text number {n}" for n in COUNT], "text"),
    ],
)
def test_the_type_of_a_column_is_decided_from_its_cells(cells, kind):
    assert classify(cells).kind == kind


@pytest.mark.parametrize(
    ("cells", "name", "reason"),
    [
        (repeat("", "NA"), "x", "empty"),
        (repeat("red"), "x", "constant"),
        (repeat("1", "1.0", "01"), "x", "constant"),
        (map(str, range(5, 65)), "", "a row index"),
        (map(str, range(60)), "user_id", "an identifier"),
        (map(str, range(60)), "ID", "an identifier"),
        (map(str, range(60)), "userId", "an identifier"),
        ([f"u{n}" for n in COUNT], "id", "an identifier"),
        ([f"u{n}" for n in COUNT], "x", "nearly unique"),
        (["1", "1.0000000000000000001"] * 9, "x", "different numbers, but equal as 64-bit floats"),
    ],
)
def test_a_column_without_information_is_ignored(cells, name, reason):
    column = classify([*cells], name)
    assert (column.kind, column.reason) == ("ignored", reason)


@pytest.mark.parametrize(
    ("cells", "name", "kind"),
    [
        (map(str, range(60)), "x", "number"),  # only the name tells that it is an identifier
        (map(str, range(60)), None, "number"),
        (map(str, range(60)), "humid", "number"),
        ([str(n % 3) for n in COUNT], "id", "number"),
        ([str(n * 0.5) for n in COUNT], "id", "number"),
        (map(str, reversed(range(60))), "", "number"),
        ([f"202001{1 + n % 28:02}" for n in COUNT], "date", "date"),
        ([f"202001{1 + n % 28:02}" for n in COUNT], "x", "number"),
    ],
)
def test_a_name_supports_a_type(cells, name, kind):
    assert classify([*cells], name).kind == kind


def test_categories_are_the_values_that_occur_often_in_the_order_of_their_frequency():
    assert classify(repeat("a", "b", "b", "c", "c", "")).categories == ("b", "c", "a")
    values = [f"v{n}" for n in range(30)]
    assert classify([*values, *values[:25], *values[:5]]).categories == (*values[:5], *sorted(values[5:25]))
    many = [f"v{n}" for n in range(300)] * 3
    assert len(classify(many).categories) == MAX_CATEGORIES


@pytest.mark.parametrize(("cells", "has_missing"), [(repeat("1", "2"), False), (repeat("1", "2", "NA"), True)])
def test_missing_cells_are_recorded(cells, has_missing):
    assert classify(cells).has_missing == has_missing


@pytest.mark.parametrize(
    ("columns", "formats"),
    [
        ([["1.5", "2"]], [NumberFormat()]),
        ([["1,5", "2,25"]], [NumberFormat(",")]),
        ([["1,234", "5,678"]], [NumberFormat(".", ",")]),
        ([["1,234", "5,678"], ["0,5", "1,25"]], [NumberFormat(","), NumberFormat(",")]),
        ([["1,234", "5,678"], ["0.5", "1.25"]], [NumberFormat(".", ","), NumberFormat()]),
        ([["1.234", "5.678"], ["0,5", "1,25"]], [NumberFormat(",", "."), NumberFormat(",")]),
        ([["1.234,5"], ["7"]], [NumberFormat(",", "."), NumberFormat(",")]),
        ([["1 234"], ["a"]], [NumberFormat(".", " "), NumberFormat()]),
    ],
)
def test_all_columns_of_a_file_have_the_same_decimal_point(columns, formats):
    assert choose_number_format(map(collect, columns)) == formats


def test_statistics_do_not_depend_on_blocks():
    cells = [*map(str, range(50)), "NA", "1.5", *map(str, range(50)), "x", ""]
    for block in (1, 13, 1000):
        statistics = collect(cells, block)
        assert (statistics.rows, statistics.missing_rows, statistics.number_rows) == (len(cells), 2, 101)
        assert (statistics.text_rows, statistics.is_whole) == (1, False)
        assert statistics.counts is not None
        assert (statistics.counts["7"], statistics.counts["x"], "NA" in statistics.counts) == (2, 1, False)
        assert statistics.markers == {"NA", ""}


def test_numbers_after_many_whole_ones_are_not_counted_in_part():
    statistics = collect([*map(str, range(1500)), *(f"{n}.5" for n in range(1500))], 1500)
    assert statistics.counts is None
    assert (statistics.number_rows, statistics.low, statistics.high) == (3000, 0, 1499.5)


def test_a_column_may_be_converted_to_another_type():
    statistics = collect(repeat("1", "2", "1"))
    column = classify_column(3, "x", statistics, NumberFormat())
    assert convert_column(column, "category", statistics) == Column(3, "x", "category", categories=("1", "2"))
    assert convert_column(column, "text", statistics) == Column(3, "x", "text")
    stamps = collect([str(1_600_000_000 + n) for n in range(9)])
    assert convert_column(column, "date", stamps).date_format == DateFormat("unix_seconds")


@pytest.mark.parametrize(
    "column",
    [
        Column(0, "x", "number"),
        Column(1, "", "number", number_format=NumberFormat(",", "."), has_missing=True),
        Column(2, "y", "category", categories=("a", "1")),
        Column(3, "z", "date", date_format=DateFormat("day_first")),
        Column(4, "w", "ignored", "constant"),
    ],
)
def test_a_column_is_restored_from_its_fields(column):
    assert restore_column(list_column_fields(column)) == column


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "numbre"}, "data.columns: unknown type 'numbre'; did you mean 'number'?"),
        ({}, "data.columns: unknown type 'None'"),
        (3, "data.columns: expected a type instead of 3: number, boolean,"),
        ({"kind": "category", "categories": 5}, "data.columns: invalid fields {'kind': 'category', 'categories': 5}: "),
        ({"kind": "date"}, "data.columns: a date needs its date_format, unless only its type is set"),
        ({"kind": "number", "formatt": 1}, "data.columns: unknown field 'formatt'"),
        ({"kind": "date", "date_format": {"order": "x"}}, "data.date_format: expected one of"),
    ],
)
def test_invalid_fields_are_an_error(fields, message):
    with pytest.raises(UserError) as error:
        restore_column(fields)
    assert str(error.value).startswith(message)
