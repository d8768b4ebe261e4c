"""Detection of delimiter, quotes, titles and column names of a table."""

import pytest

from trainer.core.errors import UserError
from trainer.data.io.tables.dialect_detection import DialectSettings, detect_dialect
from trainer.data.io.tables.table_rows import WHITESPACE, Dialect, iter_rows

ROWS = ["name,length,width", "a,1.5,2", "b,2.5,3", "c,3.5,4"]


@pytest.fixture
def detect(tmp_path):
    """Return a function that writes a file and detects its dialect."""

    def write_and_detect(lines, *, names=(), file="a.csv", line_end="\n", **settings):
        text = lines if isinstance(lines, str) else line_end.join([*lines, ""])
        (tmp_path / file).write_bytes(text.encode())
        return detect_dialect(tmp_path / file, DialectSettings(**settings), names)

    return write_and_detect


def replace_delimiter(delimiter):
    return [line.replace(",", delimiter) for line in ROWS]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("delimiter", "detected"),
    [(",", ","), (";", ";"), ("\t", "\t"), ("|", "|"), ("   ", WHITESPACE), (" , ", ","), (";\t", ";")],
)
def test_the_delimiter_is_detected(detect, delimiter, detected, line_end):
    assert detect(replace_delimiter(delimiter), line_end=line_end) == Dialect(delimiter=detected)


@pytest.mark.parametrize(
    ("lines", "delimiter"),
    [
        (["x;y", "1,5;2,5", "2,5;3,5"], ";"),  # decimal commas
        (["1,5;2,5", "2,5;3,5"], ";"),
        (["text,label", '"a; b, c",1', '"d; e",2', '"f, g",1'], ","),
        (["full name,score", "Ann Lee,1", "Bob Ray,2"], ","),
        (["a, b", "1, 2", '"x, y", 3'], ","),
        (["1,2,p; q", "3,4,r; s"], ","),
        (["x", "1", "2"], ","),  # one column
        (["a|b", "1|x, y; z", "2|x, y; z"], "|"),
        (['1 2.5 3\t"a b"', '4 5.5 6\t"c d"'], WHITESPACE),
        (["yes;one text of five", "no;some text of five"], ";"),
    ],
)
def test_other_delimiters_inside_cells_are_ignored(detect, lines, delimiter):
    assert detect(lines).delimiter == delimiter


@pytest.mark.parametrize(
    ("titles", "skipped"),
    [
        ([], 0),
        ([""], 0),
        (["A title"], 1),
        (["A title,,"], 1),
        (["# made, by, hand, in 2020"], 1),
        (["# one", "# two", ""], 3),
        (["A title", "", "Another one"], 3),
        (["sep=,"], 1),
    ],
)
def test_lines_above_the_table_are_skipped(detect, titles, skipped):
    dialect = detect([*titles, *ROWS])
    assert (dialect.skipped_lines if any(titles) else 0, dialect.delimiter) == (skipped, ",")


def test_a_name_may_start_with_a_number_sign(detect):
    assert detect(["#name,length,width", *ROWS[1:]]) == Dialect()


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
def test_a_first_line_for_excel_sets_the_delimiter(detect, delimiter):
    lines = [f"sep={delimiter}", *replace_delimiter(delimiter)]
    assert detect(lines, line_end="\r\n") == Dialect(delimiter=delimiter, skipped_lines=1)


def test_a_name_may_look_like_the_first_line_for_excel(detect):
    assert detect(["sep=a,b,c", "1,2,3", "4,5,6"]) == Dialect()


@pytest.mark.parametrize(
    ("lines", "quote"),
    [
        (["'x','y'", "'1','2'", "'3','4, 5'"], "'"),
        (["x,y", "'a',1", "'b, c',2", "'d',3"], "'"),
        (["x,y", "'a',1", "b,2", "c,3"], '"'),
        (["x,y", '"it\'s",1', "'t,2"], '"'),
    ],
)
def test_apostrophes_are_quotes_if_a_column_has_them_everywhere(detect, lines, quote):
    assert detect(lines).quote == quote


@pytest.mark.parametrize(
    ("lines", "header"),
    [
        (ROWS, True),
        (ROWS[1:], False),
        (["a,b", "c,d", "e,f"], True),  # no first cell occurs again
        (["a,b", "c,b", "a,d"], False),
        (["1,2,3", "0,0,0", "1,2,1"], False),
        (["1990,1991,name", "5,6,x", "7,8,y"], False),
        (["0,1,name", "5,6,x", "7,8,y"], False),
        (["x,y"], True),
        (["1,2"], False),
        (["x,y", "NA,?", "1,NA"], True),
        (["x,y", "1.000,5", "2.000,6"], True),
        (["price,y", "$5,a", "$6,b"], True),
    ],
)
def test_column_names_are_detected(detect, lines, header):
    assert detect(lines).header == header


def test_a_row_with_a_name_of_the_user_contains_column_names(detect):
    lines = ["a,b", "c,b", "a,d"]
    assert detect(lines, names=["b"]).header
    assert not detect(lines, names=["z"]).header


def test_settings_of_the_user_are_not_changed(detect):
    dialect = detect(ROWS, delimiter=";", encoding="latin1", header=False, skipped_lines=1)
    assert dialect == Dialect(";", '"', "iso8859-1", 1, header=False)
    assert detect(replace_delimiter("\t"), delimiter="\\t").delimiter == "\t"
    assert detect(ROWS, skipped_lines=0) == detect(ROWS)


@pytest.mark.parametrize(
    ("lines", "settings", "message"),
    [
        ("", {}, "no rows: the file is empty"),
        ("\n \n,,\n", {}, "no rows: the file is empty"),
        (["0 1:5.1 3:1.4", "1 1:4.9 3:1.4"], {}, "the sparse format INDEX:VALUE of LIBSVM cannot be read"),
        (ROWS, {"delimiter": "::"}, "data.delimiter: '::' is not one character, nor 'whitespace'"),
        (ROWS, {"delimiter": '"'}, "is not one character"),
        (ROWS, {"delimiter": ""}, "is not one character"),
        (ROWS, {"encoding": "utf-9"}, "data.encoding: unknown encoding 'utf-9'"),
        (ROWS, {"encoding": "utf-16"}, "not utf-16 text ("),
        (["é,b", "1,2"], {"encoding": "ascii"}, "not ascii text ("),
        ([*ROWS, 'd,"1,2', "x"], {}, "line 5: not CSV (unexpected end of data)"),
        ([*ROWS, 'd,"1"2,3'], {}, "line 5: not CSV"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(detect, lines, settings, message):
    with pytest.raises(UserError) as error:
        detect(lines, **settings)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("lines", "mismatch", "names"),
    [
        (["length,width", "a,1.5,2", "b,2.5,3"], "no_first", ["", "length", "width"]),  # row names of R
        (["length width", '"a b" 1.5 2', '"c" 2.5 3'], "no_first", ["", "length", "width"]),
        (["length,width", "1.5,2,", "2.5,3,"], "no_last", ["length", "width", ""]),
        (["length,width,", "1.5,2", "2.5,3"], "extra_last", ["length", "width"]),
        (["length,width", "a,1.5,2", "a,2.5,3"], "", ["length", "width"]),  # no row names: not unique
    ],
)
def test_column_names_may_be_one_more_or_less_than_cells(detect, tmp_path, lines, mismatch, names):
    dialect = detect(lines)
    assert dialect.names_mismatch == mismatch
    assert next(iter_rows(tmp_path / "a.csv", dialect)) == (1, names)


def test_titles_may_have_several_cells(detect):
    assert detect(["Source,Bank", "", "Date,2023", *(f"{line},x" for line in ROWS)]).skipped_lines == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}', "JSON; rename it to end in .jsonl"),
        ("<!DOCTYPE html>\n<html>", "a web page or XML document"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS"),
        ("PAR1abc", "a Parquet file; rename it to end in .parquet"),
    ],
)
def test_another_format_is_an_error(detect, content, message):
    with pytest.raises(UserError, match=f"a.csv: {message}"):
        detect(content)
