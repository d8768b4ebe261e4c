"""Numbers of random tables are read from files whose format is detected."""

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.io.tables.dialect_detection import detect_dialect
from trainer.data.io.tables.number_format import parse_numbers
from trainer.data.io.tables.table_file import read_table
from trainer.data.tabular.column_statistics import ColumnStatistics
from trainer.data.tabular.columns import choose_number_format, classify_column

pytest.importorskip("pyarrow", reason="tables need pyarrow")

MISSING = ("", "NA")
NUMBERS = st.floats(-1e7, 1e7, width=32).map(lambda number: round(number, 3))
NAMES = ["x", "Größe (cm)", "a.b", "price in $", "#1", "日付", "it's", "no,w", "e;f", 'say "a"', "x\ny"]
TEXTS = ["red", "Ann Lee", "x, y", "p; q", 'say "z"', "it's", "1-2", "a|b", "été", "two\nlines"]


def format_number(number, decimal, thousands):
    if math.isnan(number):
        return "NA"
    text = f"{number:,.3f}" if thousands else f"{number:.3f}"
    return text.translate(str.maketrans({".": decimal, ",": thousands}))


def quote(cell, delimiter):
    if any(c in f'{delimiter}"\r\n' for c in cell):
        doubled = cell.replace('"', '""')
        return f'"{doubled}"'
    return cell


@st.composite
def files(draw):
    """Return the numbers of a table, and its file."""
    rows = draw(st.integers(4, 30))
    width = draw(st.integers(2, 4))
    cells = st.lists(st.one_of(NUMBERS, NUMBERS, st.just(math.nan)), min_size=rows, max_size=rows)
    numbers = draw(st.lists(cells, min_size=width, max_size=width))
    for column in numbers:
        column[0] = -0.125  # a format is known only from a number with decimals
        column[1] = 1234567.25
    names = draw(st.permutations(NAMES))[: width + 1]
    texts = draw(st.lists(st.sampled_from(TEXTS), min_size=rows, max_size=rows))
    delimiter, decimal, thousands = draw(
        st.sampled_from(
            [
                (",", ".", ""),
                (";", ".", ""),
                ("\t", ".", ""),
                ("|", ".", ""),
                (";", ",", ""),
                ("\t", ",", ""),
                ("|", ",", "."),
                (";", ".", ","),
                (";", ",", " "),
                ("\t", ".", "'"),
                (",", ".", ","),
                (",", ",", ""),
            ]
        )
    )
    formatted = [[format_number(number, decimal, thousands) for number in column] for column in numbers]
    lines = [names, *zip(*formatted, texts, strict=True)]
    if not draw(st.booleans()):
        lines = lines[1:]
    line_end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    content = line_end.join(delimiter.join(quote(cell, delimiter) for cell in line) for line in lines)
    titles = draw(st.sampled_from(["", "", "A title of a table", "# a comment; by Ann"]))
    content = f"{titles}{line_end}{content}" if titles else content
    return numbers, content.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))


def check_numbers(numbers, content):
    with TemporaryDirectory() as directory:
        path = Path(directory) / "a.csv"
        path.write_bytes(content)
        table = read_table(path, detect_dialect(path))
    assert (table.width, len(table)) == (len(numbers) + 1, len(numbers[0]))
    statistics = [ColumnStatistics(MISSING) for _ in range(table.width)]
    for item, cells in zip(statistics, table.columns, strict=True):
        item.update(cells)
    formats = choose_number_format(statistics)
    for index, expected in enumerate(numbers):
        assert classify_column(index, "x", statistics[index], formats[index]).kind == "number"
        values = parse_numbers(table.columns[index], formats[index], MISSING)
        assert values.tolist() == pytest.approx(expected, abs=1e-3, nan_ok=True)


quick = settings(max_examples=60, derandomize=True, deadline=None, database=None)


@quick
@given(files())
def test_numbers_are_read_in_a_detected_format(file):
    check_numbers(*file)


@pytest.mark.slow
@settings(quick, max_examples=2000)
@given(files())
def test_numbers_of_many_tables_are_read_in_a_detected_format(file):
    check_numbers(*file)
