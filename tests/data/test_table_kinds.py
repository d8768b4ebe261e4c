"""Tables with columns of all types, from the file to the network inputs and to predictions."""

import io
import logging

import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.io.tables import table_rows
from trainer.data.preprocessing.base import restore_preprocessing
from trainer.data.table import Table

COLORS = ("red", "green", "blue", "")
NOTES = ("a good film", "a bad film", "rather long", "very good indeed")
NAMES = "id,size,color,flag,day,note,same,label"


def make_row(n):
    size = "" if n % 10 == 3 else n * 7 % 11 / 4
    note = f"{NOTES[n % 4]} {n}"
    return f"{n},{size},{COLORS[n * 5 % 7 % 4]},{n % 3 == 0},2020-{1 + n % 12:02}-05,{note},1,{'ab'[n // 2 % 2]}"


LINES = [NAMES, *map(make_row, range(60))]


@pytest.fixture
def load(tmp_path):
    """Return a function that writes lines to a file and loads them as a table."""

    def write_and_load(lines, name="a.csv", **settings):
        (tmp_path / name).write_text("\n".join(lines))
        data = Table(**{"path": str(tmp_path / name)} | settings)
        data.setup("fit")
        return data

    return write_and_load


def predict(data, tmp_path, lines):
    """Return the network inputs of the rows of another file, as in a prediction."""
    (tmp_path / "new.csv").write_text("\n".join(lines))
    preprocessing = restore_preprocessing(data.preprocessing.state())
    return torch.cat([preprocessing.prepare(batch.inputs) for batch in preprocessing.read([tmp_path / "new.csv"], 4)])


def test_each_type_of_column_has_its_inputs(load):
    data = load(LINES)
    assert {column.name: column.kind for column in data.inspection.columns} == {
        "id": "ignored",
        "size": "number",
        "color": "category",
        "flag": "boolean",
        "day": "date",
        "note": "text",
        "same": "ignored",
        "label": "category",
    }
    numbers = 1 + 1 + 7 + 64
    assert data.spec.shape == (numbers + 1 + 5,)  # and an indicator, and 3 colors, other ones and missing ones
    assert data.spec.categories == ((numbers + 1, 5),)
    inputs = data.prepare(data.splits["train"].inputs)
    assert inputs.shape == (36, *data.spec.shape)
    assert inputs.isfinite().all()
    assert (inputs[:, -5:].sum(1) == 1).all()


def test_predictions_have_the_inputs_of_training(load, tmp_path):
    data = load(LINES)
    expected = torch.cat([data.prepare(split.inputs) for split in data.splits.values()])
    inputs = predict(data, tmp_path, LINES)
    assert sorted(inputs.tolist()) == sorted(expected.tolist())
    reordered = [",".join(reversed(line.split(","))) for line in LINES]
    assert torch.equal(predict(data, tmp_path, reordered), inputs)


def test_unknown_and_missing_values_of_predictions_are_encoded(load, tmp_path, caplog):
    data = load(LINES)
    row = "?,?,{color},,NA,?,,"
    lines = [NAMES, *(row.format(color=color) for color in ("red", "violet", ""))]
    with caplog.at_level(logging.WARNING):
        inputs = predict(data, tmp_path, lines)
    red = data.preprocessing.categories[0].categories.index("red")
    assert [vector.nonzero().flatten().tolist() for vector in inputs[:, -5:]] == [[red], [], [4]]
    assert caplog.messages == [f"{tmp_path}/new.csv, column 'color': 1 cell has a value that training did not have"]
    assert inputs[:, 0].eq(0).all()  # the mean of the sizes
    assert inputs[:, 73].eq(1).all()  # the indicator of a missing size


def test_the_state_of_the_preprocessing_is_loaded_without_pickled_objects(load, tmp_path):
    data = load(LINES)
    stream = io.BytesIO()
    torch.save(data.preprocessing.state(), stream)
    stream.seek(0)
    preprocessing = restore_preprocessing(torch.load(stream, weights_only=True))
    [batch] = preprocessing.read([tmp_path / "a.csv"], 100)
    assert torch.equal(preprocessing.prepare(batch.inputs), predict(data, tmp_path, LINES))
    assert batch.facts["color"][:4] == [COLORS[n * 5 % 7 % 4] for n in range(4)]
    assert batch.rows[:3] == [2, 3, 4]


def test_statistics_are_restored_for_another_file(load):
    data = load(LINES)
    other = load([NAMES, *map(make_row, range(20, 60))], "b.csv")
    assert not torch.equal(other.preprocessing.mean, data.preprocessing.mean)
    other.load_state_dict(data.state_dict())
    assert torch.equal(other.preprocessing.mean, data.preprocessing.mean)
    renamed = load([NAMES.replace("size", "width"), *LINES[1:]], "c.csv")
    with pytest.raises(UserError, match="expected size, color, flag, day, note, as in training"):
        renamed.load_state_dict(data.state_dict())


def test_inferred_settings_give_the_same_spec(load, tmp_path):
    data = load(LINES)
    settings = data.inferred_settings
    assert Table(path="no/such.csv", **settings).spec == data.spec
    few = load(
        [NAMES, "1,5,red,True,2020-01-05,x,2,a", "2,6,red,True,2020-01-05,x,2,b", "3,4,pink,,2020-01-05,,,a"],
        **settings,
    )
    assert few.spec == data.spec
    assert few.preprocessing.columns == data.preprocessing.columns
    assert few.prepare(few.splits["train"].inputs).shape == (1, *data.spec.shape)


def test_types_of_columns_may_be_set(load):
    lines = ["code,size,y", *(f"{n % 3},{n},{n % 2}" for n in range(60))]
    assert load(lines).spec.categories == ()
    data = load(lines, columns={"code": "category", "size": "ignored"})
    assert (data.spec.shape, data.spec.categories) == ((5,), ((0, 5),))
    assert load(lines, columns={"size": "text"}).spec.shape == (65,)
    with pytest.raises(UserError, match=r"line 2, column 'code' has '0', expected a boolean"):
        load(lines, columns={"code": "boolean"})


def test_a_mistake_in_a_column_of_dates_is_an_error_with_its_line(load):
    lines = ["day,x,y", *(f"{1 + n % 28}.3.2021,{n},{n % 2}" for n in range(40)), "soon,5,1"]
    with pytest.raises(UserError, match=r"a\.csv, line 42, column 'day' has 'soon', expected a date"):
        load(lines)
    assert load(lines, missing=["soon"]).spec.shape == (9,)


def test_several_targets_are_values_in_the_order_of_the_setting(load):
    lines = ["x,y,z", *(f"{n},{n * 2},{n * 3}" for n in range(20))]
    data = load(lines, target=["z", "x"], repeats=1)
    assert (data.spec.output_size, data.spec.target, data.spec.shape) == (2, "regression", (1,))
    for split in data.splits.values():
        assert torch.equal(split.targets, split.inputs * torch.tensor([1.5, 0.5]))
    with pytest.raises(UserError, match=r"line 3, column 'x': the target is missing"):
        load([*lines[:2], ",2,3", *lines[3:]], target=["z", "x"])


def test_rows_of_a_group_are_in_one_split(load):
    lines = ["patient,x,y", *(f"p{n % 12},{n},{n % 2}" for n in range(60))]
    data = load(lines, group_column="patient", standardize=False)
    assert data.spec.shape == (1,)
    patients = [{int(x) % 12 for x in split.inputs[:, 0].tolist()} for split in data.splits.values()]
    assert sorted(patient for part in patients for patient in part) == [*range(12)]


def test_files_of_other_splits_may_have_other_columns(load, tmp_path):
    lines = ["x,color,y", *(f"{n},{COLORS[n % 2]},{n % 2}" for n in range(20))]
    (tmp_path / "val.csv").write_text("y;more;color;x\n1;?;red;3\n0;?;pink;4\n1;?;;5\n")
    data = load(lines, val_path=str(tmp_path / "val.csv"), repeats=1)
    assert {stage: len(split.targets) for stage, split in data.splits.items()} == {"train": 16, "val": 3, "test": 4}
    assert data.splits["val"].targets.tolist() == [1, 0, 1]
    assert data.splits["val"].inputs[:, 0].tolist() == [3, 4, 5]
    (tmp_path / "val.csv").write_text("y,x\n1,3\n")
    with pytest.raises(UserError, match=r"val\.csv, line 1: no column 'color'"):
        load(lines, val_path=str(tmp_path / "val.csv"))
    with pytest.raises(UserError, match=r"^data\.test_path: no file '.*none\.csv'$"):
        load(lines, test_path="none.csv")


def test_rows_without_a_target_may_be_skipped(load):
    rows = [f"{n},{n % 5},{'' if n % 4 == 3 else n % 2}" for n in range(40)]
    with pytest.raises(UserError, match=r"a\.csv, line 5, column 'y': the target is missing"):
        load(["x,z,y", *rows])
    data = load(["x,z,y", *rows], skip_missing_targets=True)
    assert sum(len(split.targets) for split in data.splits.values()) == 30
    assert all(
        (split.inputs[:, 0] % 2 == split.targets).all() and (split.inputs[:, 0] % 4 != 3).all()
        for split in data.splits.values()
    )
    skipped = load(["x,z,y", *rows], skip_missing_targets=True, missing=[], class_names=["0", "1", ""])
    assert sum(len(split.targets) for split in skipped.splits.values()) == 40
    with pytest.raises(UserError, match=r"a\.csv, line 12, column 'y': 'c' is not in data\.class_names"):
        load(["x,z,y", *rows[:10], "1,1,c"], skip_missing_targets=True, class_names=["0", "1"])


def test_a_class_that_is_missing_in_a_split_is_a_warning(load, caplog):
    rows = [f"{n},{n % 5},{'c' if n == 30 else 'ab'[n % 2]}" for n in range(60)]
    with caplog.at_level(logging.WARNING):
        load(["x,z,y", *rows])
    assert sum("no row of class c" in message for message in caplog.messages) == 2


def test_a_column_that_reveals_the_target_is_a_warning(load, caplog):
    rows = [f"{n % 7},{n % 2 * 3},{'ab'[n % 2]}" for n in range(100)]
    with caplog.at_level(logging.WARNING):
        load(["x,paid,y", *rows])
    assert caplog.messages[0].endswith(
        "column 'paid' alone determines the target; if it is not known in practice, leave it out: 'data.drop=[paid]'"
    )


@pytest.mark.parametrize("suffix", ["parquet", "feather", "csv"])
def test_typed_files_give_the_same_table_as_text(tmp_path, suffix):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import csv, feather, parquet

    sizes = [*range(10), None, *range(11, 30)]
    columns = {"size": sizes, "color": ["red", "blue", "red"] * 10, "kind": ["a", "b"] * 15}
    writers = {"parquet": parquet.write_table, "feather": feather.write_feather, "csv": csv.write_csv}
    writers[suffix](pyarrow.table(columns), tmp_path / f"a.{suffix}")
    data = Table(path=str(tmp_path / f"a.{suffix}"), repeats=1)
    data.setup("fit")
    assert (data.spec.shape, data.class_names) == ((6,), ("a", "b"))  # size, its indicator, and four codes of colors
    rows = torch.cat([split.inputs for split in data.splits.values()])
    assert sorted(rows[:, 0].nan_to_num(10.0).tolist()) == [*range(30)]


def test_a_file_of_json_is_parsed_once_for_each_step(tmp_path, monkeypatch):
    rows = [f'{{"x": {n}, "kind": "{"ab"[n % 2]}"}}' for n in range(30)]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    reads = []
    iter_json = table_rows._iter_json
    monkeypatch.setattr(table_rows, "_iter_json", lambda *args: reads.append(args) or iter_json(*args))
    data = Table(path=str(tmp_path / "a.jsonl"))
    data.setup("fit")
    assert len(reads) == 3  # format, types of columns, rows
