"""Errors in CSV files and settings of tables."""

import pytest

from trainer.core.errors import UserError
from trainer.data.table import Table

ROWS = [f"{n},{10 * n},{n % 2}" for n in range(10)]
NAMES = "x,y,answer"


def read_error(directory, lines, **settings):
    """Return the error message for a file of these lines, without its directory."""
    text = lines if isinstance(lines, bytes) else "\n".join(lines).encode()
    (directory / "some.csv").write_bytes(text)
    with pytest.raises(UserError) as error:
        Table(**{"path": "some.csv", "dir": str(directory)} | settings).setup("fit")
    return str(error.value).replace(f"{directory}/", "")


def with_line(line, text):
    """Return the lines of the file with one of them, counted from 1, replaced."""
    lines = [NAMES, *ROWS]
    return [*lines[: line - 1], text, *lines[line:]]


HINT = "add it to data.missing if it means a missing number, or leave out column 'y' by data.drop"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (with_line(5, "3,many,1"), f"some.csv, line 5, column 'y' has 'many', expected a number; {HINT}"),
        (with_line(5, "3,inf,1"), f"some.csv, line 5, column 'y' has 'inf', expected a number; {HINT}"),
        (with_line(5, "3,1_000,1"), f"some.csv, line 5, column 'y' has '1_000', expected a number; {HINT}"),
        (with_line(5, "3,30"), "some.csv, line 5: 2 cells, but line 1 has 3"),
        (with_line(5, "3,30,1,"), "some.csv, line 5: 4 cells, but line 1 has 3"),
        (with_line(5, '3,"30,1'), "some.csv, line 5: not CSV (unexpected end of data)"),
        (
            with_line(5, "3,30,"),
            "some.csv, line 5, column 'answer': the target is missing; remove the row from the file",
        ),
        (
            with_line(5, "3,30,NaN"),
            "some.csv, line 5, column 'answer': the target is missing; remove the row from the file",
        ),
        ([], "some.csv: no rows: the file is empty"),
        ([NAMES], "some.csv: no rows after the header"),
        (["a", "1"], "some.csv: only one column"),
        (["a^b", "1^2"], "some.csv: only one column; set data.delimiter to the character between the cells"),
        ([NAMES, "1,2,a\0"], "some.csv, line 2: a zero byte, so it is no text file"),
        ("é,é,1\n".encode() + "é,é,1\n".encode("cp1252"), "some.csv: a part of it is UTF-8, and another part is not"),
        (
            [NAMES, *(f"{n},1,{2**62 + n}" for n in range(9))],
            "some.csv, column 'answer': different numbers, but equal as 64-bit floats",
        ),
        (
            [NAMES, *(f"{n},1,2021-0{1 + n // 28}-{1 + n % 28}" for n in range(40))],
            "some.csv, column 'answer': dates are neither classes nor values",
        ),
        (b"\xff\xfe1,2", "some.csv: not utf-16 text ("),
        (
            [NAMES, "1,2,0", "3,4,0.0"],
            "some.csv, column 'answer': every row is of class '0'; need at least two",
        ),
    ],
)
def test_an_invalid_file_is_an_error_with_its_line(tmp_path, lines, message):
    assert read_error(tmp_path, lines).startswith(message)


def test_an_empty_cell_is_missing_only_if_configured(tmp_path):
    message = read_error(tmp_path, with_line(5, "3,,1"), missing=["?"])
    assert message == f"some.csv, line 5, column 'y' is missing; {HINT}"


def test_a_missing_target_is_an_error(tmp_path):
    message = read_error(tmp_path, with_line(3, "1,10,?"), task="regression")
    assert message == (
        "some.csv, line 3, column 'answer': the target is missing; remove the row from the file, or set "
        "data.skip_missing_targets=true"
    )


def test_a_header_that_is_read_as_numbers_is_an_error(tmp_path):
    message = read_error(tmp_path, [NAMES, *ROWS], header=False)
    assert message.startswith(
        "some.csv, line 1, column 0 (counted from 0) has 'x', expected a number; if this line contains the column "
        "names, set data.header=true"
    )


def test_a_column_without_training_values_is_an_error(tmp_path):
    message = read_error(tmp_path, [NAMES, *(f"{n},{n if n == 3 else '?'},{n % 2}" for n in range(10))])
    assert message == "some.csv, column 'y': missing in every training row; leave it out by data.drop"


@pytest.mark.parametrize(
    ("lines", "settings", "message"),
    [
        (
            [NAMES, *ROWS],
            {"features": 3},
            "data.features: 3 expected, but some.csv has 2 inputs of the network; leave it out",
        ),
        (
            [NAMES, *(f"{n},{n},{n / 7}" for n in range(30))],
            {"task": "classification"},
            "some.csv, column 'answer': too many distinct values for classes; set data.task=regression",
        ),
        (
            [NAMES, "1,2,no", "3,4,yess"],
            {"class_names": ["no", "yes"]},
            "some.csv, line 3, column 'answer': 'yess' is not in data.class_names; did you mean 'yes'?",
        ),
        (
            [NAMES, "1,2,0", "3,4,2", "3,4,2"],
            {"class_names": ["no", "yes"]},
            "some.csv, line 3, column 'answer': '2' is not in data.class_names; there are: no, yes",
        ),
        ([NAMES, *ROWS], {"target": "anser"}, "data.target: some.csv has no column 'anser'; did you mean 'answer'?"),
        ([NAMES, *ROWS], {"target": 3}, "data.target: some.csv has 3 columns, 0 to 2; no 3"),
        ([NAMES, *ROWS], {"target": -4}, "data.target: some.csv has 3 columns, 0 to 2; no -4"),
        ([NAMES, *ROWS], {"drop": ["z"]}, "data.drop: some.csv has no column 'z'; there are: answer, x, y"),
        (["a,a,b", *ROWS], {"target": "a"}, "data.target: some.csv has several columns 'a'; set the index of one"),
        (
            ROWS,
            {"target": "answer", "header": False},
            "data.target: some.csv is read without column names, so there is no 'answer'; set an index from 0 to 2",
        ),
        (
            [NAMES, *ROWS],
            {"columns": {"answer": "category"}},
            "data.columns: some.csv, column 'answer' is data.target; data.task sets the kind of target",
        ),
        (
            [NAMES, *ROWS],
            {"columns": {"z": "text"}},
            "data.columns: some.csv has no column 'z'; there are: answer, x, y",
        ),
        ([NAMES, *ROWS], {"drop": "answer"}, "data.drop: some.csv, column 'answer' is data.target too"),
        ([NAMES, *ROWS], {"sheet": "first"}, "data.sheet: some.csv is no Excel file; leave it out"),
        (
            [NAMES, *ROWS],
            {"target": ["x", "y"], "task": "classification"},
            "data.target: several targets are values; leave out data.task and data.class_names",
        ),
        ([NAMES, *ROWS], {"delimiter": "::"}, "data.delimiter: '::' is not one character"),
        ([NAMES, *ROWS], {"val_fraction": 0.0}, "data: 10 examples cannot be split into parts of 0, 2 and a rest"),
    ],
)
def test_settings_that_do_not_match_the_file_are_an_error_with_the_correct_ones(tmp_path, lines, settings, message):
    assert read_error(tmp_path, lines, **settings).startswith(message)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_names": ["a"]}, "data.class_names: expected at least 2"),
        ({"class_names": ["a", "b"], "task": "regression"}, "data.class_names: values have no classes; leave it out"),
        ({"repeats": 0}, "data.batch_size, data.eval_batch_size and data.repeats: must be at least 1"),
        ({"columns": {"a": "numbr"}}, "data.columns: unknown type 'numbr'; did you mean 'number'?"),
        ({"features": 0}, "data.features: must be at least 1"),
        ({"skipped_lines": -1}, "data.skipped_lines: must be at least 0"),
    ],
)
def test_invalid_settings_are_errors_before_a_file_is_opened(settings, message):
    with pytest.raises(UserError, match=f"^{message}"):
        Table(**{"path": "no/such.csv", "features": 2} | settings)


def test_a_missing_file_is_an_error_with_its_location(tmp_path):
    with pytest.raises(UserError) as error:
        Table(path="sub/no.csv", dir=str(tmp_path)).setup("fit")
    first, second = str(error.value).splitlines()
    assert first == f"data.path: no file 'sub/no.csv' in the working directory, and no '{tmp_path}/sub/no.csv'"
    assert second.endswith(
        "or data.dir (or the environment variable TRAINER_DATA_DIR) to a directory that contains sub/no.csv."
    )


def test_a_directory_is_an_error(tmp_path):
    (tmp_path / "some").mkdir()
    with pytest.raises(UserError, match=r"data\.path: '.*some' is no file; set the path of a file in it"):
        Table(path="some", dir=str(tmp_path)).setup("fit")


def test_a_corrupted_gzip_file_is_an_error(tmp_path):
    (tmp_path / "some.csv.gz").write_bytes(b"\x1f\x8b" + b"nonsense")
    with pytest.raises(UserError, match=r"some\.csv\.gz: cannot be read: "):
        Table(path="some.csv.gz", dir=str(tmp_path)).setup("fit")


def test_a_path_may_be_absolute(tmp_path):
    (tmp_path / "some.csv").write_text("\n".join([NAMES, *ROWS]))
    data = Table(path=str(tmp_path / "some.csv"), dir="elsewhere", features=2)
    data.setup("fit")
    assert len(data.splits["train"].targets) == 6
