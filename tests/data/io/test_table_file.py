"""Tables in files of all formats, compressions and encodings, and errors with their lines."""

import bz2
import gzip
import io
import json
import lzma
import zipfile

import pytest

from trainer.core.errors import UserError
from trainer.data.io import arrow_blocks, table_file
from trainer.data.io.dialect_detection import DialectSettings, detect_dialect
from trainer.data.io.table_file import iter_tables, read_table
from trainer.data.io.table_rows import Dialect

pyarrow = pytest.importorskip("pyarrow", reason="columns are arrays of pyarrow")

NAMES = ("name", "length", "note")
ROWS = [("a", "1.5", "x, y"), ("b", "2", 'say "z"'), ("c", "", "")]
LINES = ["name,length,note", 'a,1.5,"x, y"', 'b,2,"say ""z"""', "c,,"]
TEXT = "\n".join([*LINES, ""])
RECORDS = [{"name": "a", "length": 1.5, "note": "x, y"}, {"name": "b", "length": 2, "note": 'say "z"'}, {"name": "c"}]


@pytest.fixture
def read(tmp_path):
    """Return a function that writes a file and reads its names and rows."""

    def write_and_read(content, name="a.csv", **settings):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path, detect_dialect(path, DialectSettings(**settings)))

    return write_and_read


@pytest.fixture
def read_error(read, tmp_path):
    """Return a function that reads an invalid file and returns the message of the error."""

    def read_message(content, name="a.csv", **settings):
        with pytest.raises(UserError) as error:
            read(content, name, **settings)
        return str(error.value).replace(f"{tmp_path}/", "")

    return read_message


def list_rows(table):
    return [*zip(*map(table.cells, range(table.width)), strict=True)]


def list_lines(table):
    return [table.find_line(row) for row in range(len(table))]


def zip_file(name, content, **others):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in {name: content, **others}.items():
            archive.writestr(path, text)
    return stream.getvalue()


def make_workbook(rows):
    """Return a minimal Excel file with one sheet."""
    cells = [
        "".join(
            f'<c t="inlineStr"><is><t>{cell}</t></is></c>' if isinstance(cell, str) else f"<c><v>{cell}</v></c>"
            for cell in row
        )
        for row in rows
    ]
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    return zip_file(
        "[Content_Types].xml",
        f'<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        **{
            "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" '
            f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
            '<sheet name="first" sheetId="1" r:id="s"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="s" '
            f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>'
            + "".join(f"<row>{row}</row>" for row in cells)
            + "</sheetData></worksheet>",
        },
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", TEXT),
        ("a.txt", TEXT),
        ("a.tsv", 'name\tlength\tnote\na\t1.5\tx, y\nb\t2\t"say ""z"""\nc\t\t\n'),
        ("a.psv", 'name|length|note\na|1.5|x, y\nb|2|say "z"\nc||\n'),
        ("a.jsonl", "\n".join(map(json.dumps, RECORDS))),
        ("a.ndjson", "\n\n".join(map(json.dumps, RECORDS))),
        ("a.json", "\n".join(map(json.dumps, RECORDS))),
        ("a.json", json.dumps(RECORDS)),
        ("a.json", json.dumps(RECORDS, indent=2)),
        ("a.json.gz", gzip.compress(json.dumps(RECORDS).encode())),
    ],
)
def test_text_files_of_all_formats_have_the_same_rows(read, name, content):
    table = read(content, name)
    assert (table.names, list_rows(table)) == (NAMES, ROWS)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.CSV.GZ", "renamed.csv"])
@pytest.mark.parametrize(
    "compress",
    [gzip.compress, bz2.compress, lzma.compress, lambda text: pyarrow.compress(text, "zstd", asbytes=True)],
    ids=["gz", "bz2", "xz", "zst"],
)
def test_a_compressed_file_is_recognized_by_its_content(read, name, compress):
    table = read(compress(TEXT.encode()), name)
    assert (list_rows(table), list_lines(table)) == (ROWS, [2, 3, 4])


def test_a_zip_archive_contains_one_file(read, read_error):
    assert list_rows(read(zip_file("a.csv", TEXT), "a.zip")) == ROWS
    assert list_rows(read(zip_file("a.csv", TEXT, **{"__MACOSX/._a.csv": "x", ".hidden": "y"}), "a.csv.zip")) == ROWS
    message = read_error(zip_file("a.csv", TEXT, **{"b.csv": TEXT}), "a.zip")
    assert message == "a.zip: a zip archive of 2 files: a.csv, b.csv; unpack it, and set the path of one file"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", gzip.compress(TEXT.encode())[:-9]),
        ("a.csv.bz2", bz2.compress(TEXT.encode())[:-9]),
        ("a.csv.xz", lzma.compress(TEXT.encode())[:-9]),
        ("a.csv.zst", b"\x28\xb5\x2f\xfdnonsense"),
        ("a.csv.zip", b"PK\x03\x04nonsense"),
        ("a.xlsx", b"PK\x03\x04nonsense"),
        ("a.parquet", b"nonsense"),
        ("a.feather", b""),
    ],
)
def test_a_corrupted_file_is_an_error(read_error, name, content):
    assert read_error(content, name).startswith(f"{name}: cannot be read: ")


@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_files_of_pyarrow_have_the_same_rows(tmp_path, suffix):
    columns = {
        "name": pyarrow.array(["a", "b", "c"]).dictionary_encode(),
        "length": [1.5, float("nan"), 2.0],
        "whole": [1, None, 3],
        "day": pyarrow.array([0, 1, None], pyarrow.date32()),
        "flag": [True, False, None],
    }
    path = tmp_path / f"a.{suffix}"
    table = pyarrow.table(columns)
    if suffix == "parquet":
        pytest.importorskip("pyarrow.parquet").write_table(table, path)
    else:
        pytest.importorskip("pyarrow.feather").write_feather(table, path)
    result = read_table(path, detect_dialect(path))
    assert result.names == ("name", "length", "whole", "day", "flag")
    assert list_rows(result) == [
        ("a", "1.5", "1", "1970-01-01", "true"),
        ("b", "", "", "1970-01-02", "false"),
        ("c", "2", "3", "", ""),
    ]
    assert result.locate(1, 2) == f"{path}, row 2, column 'whole'"
    assert result.find_cell(2, 1) == "2"
    assert [len(block) for block in iter_tables(path, Dialect(), rows=2)] == [2, 1]


def test_nested_values_are_an_error(tmp_path, read_error):
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"a": [1], "b": [[1, 2]]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet, column 'b': list<.*> values cannot be read; remove it"):
        read_table(tmp_path / "a.parquet", Dialect())
    assert read_error('{"a": 1, "b": 2}\n{"a": 1, "b": [2]}\n', "a.jsonl") == (
        "a.jsonl, line 2, column 'b': nested values cannot be read; flatten them"
    )


@pytest.mark.parametrize(
    ("rows", "skipped"),
    [
        ([NAMES, ("a", 1.5, "x, y"), ("b", 2, 'say "z"'), ("c",)], 0),
        ([("A title",), (), NAMES, ("a", 1.5, "x, y"), (), ("b", 2, 'say "z"'), ("c",)], 2),
    ],
)
def test_an_excel_file_has_the_same_rows(read, rows, skipped):
    pytest.importorskip("python_calamine", reason="Excel files need python-calamine")
    table = read(make_workbook(rows), "a.xlsx")
    assert (table.names, list_rows(table), table.dialect.skipped_lines) == (NAMES, ROWS, skipped)
    assert table.locate(2).endswith(f"a.xlsx, row {len(rows)}")


def test_an_unknown_sheet_is_an_error(read_error):
    pytest.importorskip("python_calamine", reason="Excel files need python-calamine")
    assert read_error(make_workbook([NAMES]), "a.xlsx", sheet="second") == (
        "data.sheet: a.xlsx has no sheet 'second', but: first"
    )


@pytest.mark.parametrize(
    ("encoding", "lines"),
    [
        ("utf-8-sig", ["naïve,y", "é,1", "ß,2"]),
        ("utf-16", ["naïve,y", "日,1", "ß,2"]),
        ("cp1252", ["température,y", "été,1", "Noël — déjà,2"]),
        ("gb18030", ["姓名,y", "王小明北京上海,1", "李华广州,2"]),
        ("cp932", ["名前,y", "とうきょうやまだ,1", "おおさかすずき,2"]),
        ("cp1251", ["город,y", "Москва,1", "Казань,2"]),
    ],
)
def test_text_in_other_encodings_is_read(read, encoding, lines):
    table = read("\n".join(lines).encode(encoding))
    assert [*table.names, *sum(list_rows(table), ())] == ",".join(lines).split(",")


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
def test_rows_have_the_lines_of_the_file(read, lines, numbers, line_end):
    table = read(line_end.join(lines))
    assert (table.names, list_rows(table)) == (NAMES, ROWS)
    assert list_lines(table) == numbers


def test_a_quoted_cell_may_contain_line_ends(read):
    table = read('"na\nme",length\n"a\r\nb",1\n\n"c\rd\n\n",2\n')
    assert (table.names, list_rows(table)) == (("na\nme", "length"), [("a\r\nb", "1"), ("c\rd", "2")])
    assert list_lines(table) == [4, 9]


def test_cells_may_be_quoted_by_apostrophes(read):
    table = read("'x','y'\n'a, b','it''s'\n'c','d'\n")
    assert (table.names, list_rows(table)) == (("x", "y"), [("a, b", "it's"), ("c", "d")])


def test_columns_may_be_aligned_by_blanks(read):
    assert list_rows(read("1.5   2  a\n 10.5  3  b\n")) == [("1.5", "2", "a"), ("10.5", "3", "b")]


def test_delimiters_at_the_ends_of_lines_are_an_empty_column(read):
    assert read("x,y,\n1,2,\n").names == ("x", "y", "")


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
def test_an_invalid_file_is_an_error_with_its_line(read_error, content, name, message):
    assert read_error(content, name).startswith(message)


def test_text_of_json_may_contain_line_separators(read):
    assert list_rows(read('{"a": "x\u2028y", "b": 1}\n{"a": "z\x85", "b": 2}\n', "a.json"))[0] == ("x\u2028y", "1")


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
def test_an_error_at_the_end_of_a_long_file_has_its_line(read_error, monkeypatch, line, message, block_bytes):
    monkeypatch.setattr(arrow_blocks, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(table_file, "BLOCK_ROWS", 100)
    lines = ["a,b", *(f'"{row}",{row}' for row in range(1500)), line, "last,1"]
    assert read_error("\n".join(lines)) == f"a.csv, {message}"


def test_a_row_may_be_longer_than_a_block(read, monkeypatch):
    monkeypatch.setattr(arrow_blocks, "BLOCK_BYTES", 64)
    lines = ["a,b", *(f"{row},x" for row in range(1500)), f'"{"y" * 500}\n",z']
    table = read("\n".join(lines))
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
