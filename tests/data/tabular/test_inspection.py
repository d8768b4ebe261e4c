"""Types of columns, targets and tasks that are found in files."""

from dataclasses import replace

import pytest

from trainer.core.errors import UserError
from trainer.data.io.tables import table_file
from trainer.data.io.tables.dialect_detection import DialectSettings
from trainer.data.tabular.inspection import inspect_file
from trainer.data.tabular.settings import make_settings

pytest.importorskip("pyarrow", reason="columns are arrays of pyarrow")
MISSING = ("", "NA")


@pytest.fixture
def inspect(tmp_path):
    """Return a function that writes lines to a file and inspects it."""

    def write_and_inspect(lines, *, columns=None, **settings):
        (tmp_path / "a.csv").write_text("\n".join(lines))
        defaults = make_settings(DialectSettings(), -1, (), columns or {}, None, None, MISSING)
        return inspect_file(tmp_path / "a.csv", replace(defaults, **settings))

    return write_and_inspect


def make_rows(*cells, count=60):
    """Return rows of functions of the row number."""
    return [",".join(str(cell(row)) for cell in cells) for row in range(count)]


def number(row):
    return row * 7 % 11 / 4


def kinds(inspection):
    return {column.name or column.index: column.kind for column in inspection.columns}


def test_each_column_has_a_type(inspect):
    colors = ("red", "green", "blue")
    rows = make_rows(lambda n: n, number, lambda n: colors[n % 3], lambda n: n % 2 == 0, lambda _: 1, lambda n: n % 2)
    inspection = inspect(["id,x,color,flag,same,y", *rows])
    assert kinds(inspection) == {
        "id": "ignored",
        "x": "number",
        "color": "category",
        "flag": "boolean",
        "same": "ignored",
        "y": "number",
    }
    assert [column.name for column in inspection.inputs] == ["x", "color", "flag"]
    assert (inspection.rows, inspection.targets, inspection.labels) == (60, (5,), {"0": 30, "1": 30})
    assert inspection.task == "classification"


@pytest.mark.parametrize(
    ("target", "count", "task"),
    [
        (lambda n: n % 2, 60, "classification"),
        (lambda n: f"{n % 2}.0", 60, "classification"),
        (lambda n: n % 20, 60, "classification"),
        (lambda n: n % 21, 63, "regression"),  # too many whole numbers
        (lambda n: n % 20, 50, "regression"),  # too few rows for each
        (lambda n: n % 2, 4, "classification"),
        (lambda n: n % 2 + 0.5, 60, "regression"),
        (lambda n: "ab"[n % 2], 60, "classification"),
        (lambda n: f"c{n % 40}", 60, "classification"),
        (lambda n: n, 60, "regression"),
        (lambda n: f'"{n},5"', 60, "regression"),
    ],
)
def test_the_task_is_found_from_the_target(inspect, target, count, task):
    assert inspect(["x,z,y", *make_rows(number, number, target, count=count)]).task == task


def test_several_targets_are_values(inspect):
    rows = make_rows(number, lambda n: n % 2, lambda n: n % 3)
    inspection = inspect(["x,y,z", *rows], targets=("z", 1))
    assert (inspection.targets, inspection.task, inspection.labels) == ((2, 1), "regression", None)
    assert [column.name for column in inspection.inputs] == ["x"]


def test_the_last_column_is_the_last_one_that_is_not_empty(inspect):
    inspection = inspect(["x,y,,", *(f"{row},," for row in make_rows(number, lambda n: n % 2))])
    assert (inspection.targets, inspection.columns[3].reason) == ((1,), "empty")


def test_a_number_that_marks_missing_inputs_may_be_a_class(inspect):
    rows = make_rows(lambda n: n % 5 - 1, number, lambda n: n % 2 - 1)
    inspection = inspect(["x,z,y", *rows], missing=("", "-1"))
    assert inspection.labels == {"-1": 30, "0": 30}
    assert [column.has_missing for column in inspection.columns] == [True, False, False]


def test_settings_of_columns_have_priority(inspect):
    rows = make_rows(lambda n: n, lambda n: n % 3, number, lambda n: n % 2)
    columns = {"id": "number", "code": "category", 2: "ignored"}
    inspection = inspect(["id,code,x,y", *rows], columns=columns)
    assert kinds(inspection) == {"id": "number", "code": "category", "x": "ignored", "y": "number"}
    assert (inspection.columns[1].categories, inspection.columns[2].reason) == (("0", "1", "2"), "data.columns")
    inspection = inspect(
        ["id,code,x,z,y", *(f"{row[:-1]}{n % 3},{n % 2}" for n, row in enumerate(rows))],
        drop=("code",),
        others=(("data.group_column", "x"),),
    )
    assert [column.reason for column in inspection.columns] == [
        "an identifier",
        "data.drop",
        "data.group_column",
        "",
        "",
    ]


@pytest.mark.parametrize("key", ["1", 0])
def test_a_column_may_be_named_by_a_number(inspect, key):
    rows = make_rows(lambda n: n % 3, lambda n: n % 4, lambda n: n % 2)
    assert kinds(inspect(["1,0,y", *rows], columns={key: "category"}))["1"] == "category"
    assert kinds(inspect(rows, columns={"0": "category"})) == {0: "category", 1: "number", 2: "number"}


def test_a_changed_file_is_inspected_again(inspect):
    assert inspect(["x,y", *make_rows(number, lambda n: n % 2)]).rows == 60
    assert inspect(["x,y", *make_rows(number, lambda n: n % 2, count=61)]).rows == 61


def test_statistics_are_collected_in_blocks(inspect, monkeypatch):
    lines = ["x,day,y", *make_rows(number, lambda n: f"2020-01-{1 + n % 28:02}", lambda n: n % 2)]
    expected = inspect(lines)
    monkeypatch.setattr("trainer.data.io.tables.arrow_blocks.BLOCK_BYTES", 64)
    monkeypatch.setattr(table_file, "BLOCK_ROWS", 7)
    assert inspect([*lines, ""]) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": {"z": "number"}}, "data.columns: a.csv has no column 'z'; there are: x, y"),
        ({"targets": ()}, "data.target: expected one or several different columns"),
        ({"targets": ("x", 0)}, "data.target: expected one or several different columns"),
        ({"drop": ("x",)}, "a.csv: no column is an input: x (data.drop); set data.columns.NAME=TYPE"),
        ({"columns": {"x": "date"}}, "data.columns: a.csv, column 'x': no format of dates fits its cells"),
        ({"columns": {"5": "date"}}, "data.columns: a.csv has 2 columns, 0 to 1; no 5"),
        ({"others": (("data.group_column", "y"),)}, "data.group_column: a.csv, column 'y' is data.target too"),
        ({"drop": ("z",)}, "data.drop: a.csv has no column 'z'"),
        ({"targets": ("z",)}, "data.target: a.csv has no column 'z'"),
        ({"dialect": DialectSettings(delimiter=";")}, "a.csv: only one column; is data.delimiter=';' right?"),
    ],
)
def test_settings_that_do_not_fit_the_file_are_an_error(inspect, tmp_path, settings, message):
    with pytest.raises(UserError) as error:
        inspect(["x,y", *make_rows(number, lambda n: n % 2)], **settings)
    assert str(error.value).replace(f"{tmp_path}/", "").startswith(message)


def test_an_unknown_type_is_an_error():
    with pytest.raises(UserError, match=r"^data\.columns: unknown type 'numbers'; did you mean 'number'\?"):
        make_settings(DialectSettings(), -1, (), {"x": "numbers"}, None, None, MISSING)
