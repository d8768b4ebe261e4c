"""Tables in files of all formats, compressions and encodings."""

import bz2
import gzip
import io
import json
import lzma
import zipfile

import pytest

from trainer.core.errors import UserError
from trainer.data.io.tables.dialect_detection import detect_dialect
from trainer.data.io.tables.table_file import iter_tables, read_table
from trainer.data.io.tables.table_rows import Dialect

pyarrow = pytest.importorskip("pyarrow", reason="columns are arrays of pyarrow")

NAMES = ("name", "length", "note")
ROWS = [("a", "1.5", "x, y"), ("b", "2", 'say "z"'), ("c", "", "")]
TEXT = 'name,length,note\na,1.5,"x, y"\nb,2,"say ""z"""\nc,,\n'
RECORDS = [{"name": "a", "length": 1.5, "note": "x, y"}, {"name": "b", "length": 2, "note": 'say "z"'}, {"name": "c"}]


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
        ("a.json.gz", gzip.compress(json.dumps(RECORDS).encode(), mtime=0)),
    ],
)
def test_text_files_of_all_formats_have_the_same_rows(read_cells, name, content):
    table = read_cells(content, name)
    assert (table.names, list_rows(table)) == (NAMES, ROWS)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.CSV.GZ", "renamed.csv"])
@pytest.mark.parametrize(
    "compress",
    [gzip.compress, bz2.compress, lzma.compress, lambda text: pyarrow.compress(text, "zstd", asbytes=True)],
    ids=["gz", "bz2", "xz", "zst"],
)
def test_a_compressed_file_is_recognized_by_its_content(read_cells, name, compress):
    table = read_cells(compress(TEXT.encode()), name)
    assert (list_rows(table), list_lines(table)) == (ROWS, [2, 3, 4])


def test_a_zip_archive_contains_one_file(read_cells, read_cells_error):
    assert list_rows(read_cells(zip_file("a.csv", TEXT), "a.zip")) == ROWS
    assert (
        list_rows(read_cells(zip_file("a.csv", TEXT, **{"__MACOSX/._a.csv": "x", ".hidden": "y"}), "a.csv.zip")) == ROWS
    )
    message = read_cells_error(zip_file("a.csv", TEXT, **{"b.csv": TEXT}), "a.zip")
    assert message == "a.zip: a zip archive of 2 files: a.csv, b.csv; unpack it, and set the path of one file"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", gzip.compress(TEXT.encode(), mtime=0)[:-9]),
        ("a.csv.bz2", bz2.compress(TEXT.encode())[:-9]),
        ("a.csv.xz", lzma.compress(TEXT.encode())[:-9]),
        ("a.csv.zst", b"\x28\xb5\x2f\xfdnonsense"),
        ("a.csv.zip", b"PK\x03\x04nonsense"),
        ("a.xlsx", b"PK\x03\x04nonsense"),
        ("a.parquet", b"nonsense"),
        ("a.feather", b""),
    ],
)
def test_a_corrupted_file_is_an_error(read_cells_error, name, content):
    assert read_cells_error(content, name).startswith(f"{name}: cannot be read: ")


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


def test_nested_values_are_an_error_only_if_they_are_read(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"a": [1], "b": [[1, 2]]}), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text('{"a": 1, "b": {"c": 2}}\n')
    for name in ("a.parquet", "a.jsonl"):
        table = read_table(tmp_path / name, Dialect(can_be_nested=True))
        assert table.cells(0) == ["1"]
        with pytest.raises(UserError, match=r"1, column 'b': nested values cannot be read; flatten them$"):
            table.cells(1)


def test_nested_values_are_an_error(tmp_path, read_cells_error):
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"a": [1], "b": [[1, 2]]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet, column 'b': list<.*> values cannot be read; remove it"):
        read_table(tmp_path / "a.parquet", Dialect())
    assert read_cells_error('{"a": 1, "b": 2}\n{"a": 1, "b": [2]}\n', "a.jsonl") == (
        "a.jsonl, line 2, column 'b': nested values cannot be read; flatten them"
    )


@pytest.mark.parametrize(
    ("rows", "skipped"),
    [
        ([NAMES, ("a", 1.5, "x, y"), ("b", 2, 'say "z"'), ("c",)], 0),
        ([("A title",), (), NAMES, ("a", 1.5, "x, y"), (), ("b", 2, 'say "z"'), ("c",)], 2),
    ],
)
def test_an_excel_file_has_the_same_rows(read_cells, rows, skipped):
    pytest.importorskip("python_calamine", reason="Excel files need python-calamine")
    table = read_cells(make_workbook(rows), "a.xlsx")
    assert (table.names, list_rows(table), table.dialect.skipped_lines) == (NAMES, ROWS, skipped)
    assert table.locate(2).endswith(f"a.xlsx, row {len(rows)}")


def test_an_unknown_sheet_is_an_error(read_cells_error):
    pytest.importorskip("python_calamine", reason="Excel files need python-calamine")
    assert read_cells_error(make_workbook([NAMES]), "a.xlsx", sheet="second") == (
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
def test_text_in_other_encodings_is_read(read_cells, encoding, lines):
    table = read_cells("\n".join(lines).encode(encoding))
    assert [*table.names, *sum(list_rows(table), ())] == ",".join(lines).split(",")
