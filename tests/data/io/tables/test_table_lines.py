"""Lines of the rows of tables, and errors with their lines."""

import pytest

from trainer.data.io.tables import arrow_blocks, table_file
from trainer.data.io.tables.dialect_detection import detect_dialect
from trainer.data.io.tables.table_file import read_table

pytest.importorskip("pyarrow", reason="columns are arrays of pyarrow")

NAMES = ("name", "length", "note")
ROWS = [("a", "1.5", "x, y"), ("b", "2", 'say "z"'), ("c", "", "")]
LINES = ["name,length,note", 'a,1.5,"x, y"', 'b,2,"say ""z"""', "c,,"]


def list_rows(table):
    return [*zip(*map(table.cells, range(table.width)), strict=True)]


def list_lines(table):
    return [table.find_line(row) for row in range(len(table))]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("lines", "numbers"),
    [
        (LINES, [2, 3, 4]),
        (["A title", "", *LINES], [4, 5, 6]),
        (["# by, it's me", *LINES], [3, 4, 5]),
        (["sep=,", *LINES], [3, 4, 5]),
        ([line for row in LINES for line in (row, "", " ", ",,")], [5, 9, 13]),
        (["name, length, note", 'a, 1.5, "x, y"', 'b, 2, "say ""z"""', "c, , "], [2, 3, 4]),
    ],
)
def test_rows_have_the_lines_of_the_file(read_cells, lines, numbers, line_end):
    table = read_cells(line_end.join(lines))
    assert (table.names, list_rows(table)) == (NAMES, ROWS)
    assert list_lines(table) == numbers


def test_a_quoted_cell_may_contain_line_ends(read_cells):
    table = read_cells('"na\nme",length\n"a\r\nb",1\n\n"c\rd\n\n",2\n')
    assert (table.names, list_rows(table)) == (("na\nme", "length"), [("a\r\nb", "1"), ("c\rd", "2")])
    assert list_lines(table) == [4, 9]


def test_cells_may_be_quoted_by_apostrophes(read_cells):
    table = read_cells("'x','y'\n'a, b','it''s'\n'c','d'\n")
    assert (table.names, list_rows(table)) == (("x", "y"), [("a, b", "it's"), ("c", "d")])


def test_columns_may_be_aligned_by_blanks(read_cells):
    assert list_rows(read_cells("1.5   2  a\n 10.5  3  b\n")) == [("1.5", "2", "a"), ("10.5", "3", "b")]


def test_delimiters_at_the_ends_of_lines_are_an_empty_column(read_cells):
    assert read_cells("x,y,\n1,2,\n").names == ("x", "y", "")


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("a,b\n1,2\n3\n", "a.csv", "a.csv, line 3: 1 cells, but line 1 has 2"),
        ("A title\n\na,b,c\n1,2,3\n3,4,5,6\n", "a.csv", "a.csv, line 5: 4 cells, but line 3 has 3"),
        ("a,b\n1,2\n\nx\n", "a.csv", "a.csv, line 4: 1 cells, but line 1 has 2"),
        ("a;b\n", "a.csv", "a.csv: no rows after the header"),
        ('{"a": 1}\n{"a": 2\n', "a.jsonl", "a.jsonl, line 2: not JSON (Expecting ',' delimiter)"),
        ('[{"a": 1},\n {"a": }]', "a.json", "a.json, line 2: not JSON (Expecting value)"),
        ('{"a": 1}\n[2]\n', "a.jsonl", 'a.jsonl, line 2: expected a JSON object like {"name": 1}'),
        ('[{"a": 1},\n\n [2]]', "a.json", 'a.json, row 2: expected a JSON object like {"name": 1}'),
        ('{"a": "\\ud83d"}', "a.jsonl", "a.jsonl, line 1, column 'a': '\\ud83d' is not Unicode text"),
        ('{"a": ' + "9" * 5000 + "}", "a.jsonl", "a.jsonl, line 1: Exceeds the limit"),
        ("é".encode("cp1252"), "a.jsonl", "a.jsonl: not UTF-8 text ("),
    ],
)
def test_an_invalid_file_is_an_error_with_its_line(read_cells_error, content, name, message):
    assert read_cells_error(content, name).startswith(message)


def test_text_of_json_may_contain_line_separators(read_cells):
    assert list_rows(read_cells('{"a": "x\u2028y", "b": 1}\n{"a": "z\x85", "b": 2}\n', "a.json"))[0] == (
        "x\u2028y",
        "1",
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('"v,1', "line 1502: not CSV (unexpected end of data)"),
        ('"v"x,1', "line 1502: not CSV (',' expected after '\"')"),
        ('"v"""x,1', "line 1502: not CSV (',' expected after '\"')"),
        ("v", "line 1502: 1 cells, but line 1 has 2"),
        ("v,1,", "line 1502: 3 cells, but line 1 has 2"),
    ],
)
@pytest.mark.parametrize("block_bytes", [64, 4096, 2**20])
def test_an_error_at_the_end_of_a_long_file_has_its_line(read_cells_error, monkeypatch, line, message, block_bytes):
    monkeypatch.setattr(arrow_blocks, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(table_file, "BLOCK_ROWS", 100)
    lines = ["a,b", *(f'"{row}",{row}' for row in range(1500)), line, "last,1"]
    assert read_cells_error("\n".join(lines)) == f"a.csv, {message}"


def test_a_row_may_be_longer_than_a_block(read_cells, monkeypatch):
    monkeypatch.setattr(arrow_blocks, "BLOCK_BYTES", 64)
    lines = ["a,b", *(f"{row},x" for row in range(1500)), f'"{"y" * 500}\n",z']
    table = read_cells("\n".join(lines))
    assert (len(table), table.cells(0)[-1], table.find_line(1500)) == (1501, "y" * 500, 1503)


def test_a_table_is_read_as_by_pandas(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is the reference")
    path = tmp_path / "a.csv"
    frame = pandas.DataFrame(
        {"x": range(300), "text": [f'{n}, "{n}"\n{n}' * (n % 3) for n in range(300)], "z": [n / 7 for n in range(300)]}
    )
    frame.to_csv(path, index=False, sep=";")
    reference = pandas.read_csv(path, sep=";", dtype=str, keep_default_na=False)
    table = read_table(path, detect_dialect(path))
    assert table.names == tuple(reference.columns)
    assert list_rows(table) == [*reference.itertuples(index=False, name=None)]
