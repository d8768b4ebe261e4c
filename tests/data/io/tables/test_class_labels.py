"""Encoding of class labels, with errors for unknown and similar labels."""

import shlex

import pytest
import torch

import trainer
from trainer.core.errors import UserError
from trainer.core.override_format import format_list_override
from trainer.data.io.tables.dialect_detection import DialectSettings
from trainer.data.io.texts.text_tables import TextTables
from trainer.data.table import Table
from trainer.data.texts import Texts

LARGE = [f"1234567890123456789{digit}" for digit in "123"]  # equal as floats


def table(directory, labels, **settings):
    """Return a table with these labels; its column x is the row number."""
    rows = [f"{number},{number % 3},{label}" for number, label in enumerate(labels)]
    (directory / "some.csv").write_text("\n".join(["x,y,answer", *rows]), encoding="utf-8")
    data = Table(**{"path": "some.csv", "dir": str(directory), "repeats": 1} | settings)
    data.setup("fit")
    return data


def reviews(directory, labels, class_names=("negative", "positive")):
    """Return the class names of texts with these labels."""
    rows = [f"film {number},{label}" for number, label in enumerate(labels)]
    (directory / "some.csv").write_text("\n".join(["review,sentiment", *rows]), encoding="utf-8")
    source = TextTables({"train": directory / "some.csv"}, DialectSettings(), "review", "sentiment")
    names = [*map(str, class_names)]
    return [names[index] for index in source.read()["train"].clean(names, skip_missing=False).classes]


def decode_classes(data):
    """Return the class name of each row, in the order of the file."""
    if isinstance(data, list):  # of texts
        return data
    splits = data.splits.values()
    order = torch.cat([split.inputs[:, 0] for split in splits]).tolist()
    targets = torch.cat([split.targets for split in splits]).tolist()
    return [data.class_names[target] for _, target in sorted(zip(order, targets, strict=True))]


def read_error(read, directory, labels, **settings):
    with pytest.raises(UserError) as error:
        read(directory, labels, **settings)
    return str(error.value).replace(f"{directory}/", "")


@pytest.mark.parametrize(("read", "column"), [(table, "answer"), (reviews, "sentiment")])
@pytest.mark.parametrize(
    ("labels", "class_names", "row", "message"),
    [
        ("1245312453", [1, 2, 4, 5], 4, "'3' is not in data.class_names; there are: 1, 2, 4, 5"),
        ("3124531245", [1, 2, 4, 5], 0, "'3' is not in data.class_names; there are: 1, 2, 4, 5"),
        ("1212121230", [1, 2, 3], 9, "'0' is not in data.class_names; there are: 1, 2, 3"),
        (["a", "b"] * 4 + ["1", "0"], ["a", "b"], 8, "'1' is not in data.class_names; there are: a, b"),
        ([*LARGE] * 4, LARGE[:2], 2, f"'{LARGE[2]}' is not in data.class_names"),
    ],
)
def test_an_unknown_label_is_an_error_with_its_line_and_the_override(
    tmp_path, read, column, labels, class_names, row, message
):
    text = read_error(read, tmp_path, labels, class_names=class_names, **({"missing": []} if read is table else {}))
    assert text.startswith(f"some.csv, line {row + 2}, column '{column}': {message}")
    labels_text = ",".join(sorted(map(str, {*labels})))
    assert text.endswith(f"\n  for all labels of the file: set 'data.class_names=[{labels_text}]'")


def test_a_marker_of_missing_labels_is_unknown_in_a_table_and_missing_in_texts(tmp_path):
    labels = ["a", "b"] * 4 + ["nan", "a"]
    message = read_error(table, tmp_path, labels, class_names=["a", "b"], missing=[])
    assert message.startswith("some.csv, line 10, column 'answer': 'nan' is not in data.class_names")
    assert message.endswith("""\n  for all labels of the file: set 'data.class_names=[a,b,"nan"]'""")
    message = read_error(reviews, tmp_path, labels, class_names=["a", "b"])
    assert message.startswith("some.csv, line 10, column 'sentiment': the label is missing ('nan')")


@pytest.mark.parametrize("read", [table, reviews])
@pytest.mark.parametrize("spellings", [("1.0", "0.0"), ("1", "0"), ("1e0", "-0"), ("\N{FULLWIDTH DIGIT ONE}", "0")])
def test_numeric_labels_are_compared_by_value(tmp_path, read, spellings):
    labels = [*spellings, *spellings, spellings[0]] * 2
    assert decode_classes(read(tmp_path, labels, class_names=[1, 0])) == ["1", "0", "1", "0", "1"] * 2


@pytest.mark.parametrize("read", [table, reviews])
def test_indices_are_accepted_for_text_labels_only_if_they_start_at_0(tmp_path, read):
    names = ["a", "b", "c", "d"]
    assert decode_classes(read(tmp_path, "0123312001", class_names=names)) == [*"abcddbcaab"]
    message = read_error(read, tmp_path, "1232112332", class_names=names)
    column = "answer" if read is table else "sentiment"
    assert message == (
        f"data.class_names: some.csv, column '{column}', has 1, 2, 3, but no 0, and classes are counted from 0 to 3; "
        "for the labels of the file: set 'data.class_names=[1,2,3]'"
    )


@pytest.mark.parametrize(
    ("labels", "first", "second"),
    [
        (["no", "yes", "Yes"], "'Yes' in line 4", "'yes' in line 3"),
        (["no", "very good", "very  good"], "'very  good' in line 4", "'very good' in line 3"),
        (["no", "yes", "yes\u200b"], "'yes' in line 3", "'yes\u200b' in line 4"),
    ],
)
def test_nearly_equal_labels_are_not_suggested_as_classes(tmp_path, labels, first, second):
    message = read_error(table, tmp_path, labels * 3)
    override = format_list_override("data.class_names", sorted(labels))
    assert message == (
        f"some.csv, column 'answer': {first} and {second} are nearly the same label: make them one in the file, or "
        f"list both as classes: {override}"
    )


@pytest.mark.parametrize(
    ("labels", "names"),
    [(["no", "1", "1.0"], ("1", "no")), (["no", "caf\u00e9", "cafe\u0301"], ("cafe\u0301", "no"))],
)
def test_equal_numbers_and_equal_characters_are_one_class(tmp_path, labels, names):
    data = table(tmp_path, labels * 3)
    assert data.class_names == names
    assert decode_classes(data) == [names[1], names[0], names[0]] * 3


def test_case_matters_in_tables_and_in_reviews_only_if_both_cases_are_listed(tmp_path):
    for read in (table, reviews):
        assert decode_classes(read(tmp_path, "aAaAaAaAaA", class_names=["A", "a"])) == [*"aAaAaAaAaA"]
    assert decode_classes(reviews(tmp_path, ["Neg", "POSITIVE"] * 5)) == ["negative", "positive"] * 5
    assert "line 3, column 'answer': 'Yes' is not in data.class_names; did you mean 'yes'?" in read_error(
        table, tmp_path, ["no", "Yes"] * 5, class_names=["no", "yes"]
    )


@pytest.mark.parametrize("kind", [Table, Texts])
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "a "], "'a' is listed twice"),
        (["1", "0", "1.0"], "'1.0' and '1' are the same"),
    ],
)
def test_class_names_must_be_different(kind, names, message):
    settings = {"features": 2} if kind is Table else {}
    with pytest.raises(UserError, match=f"^data.class_names: {message}; expected different names$"):
        kind(path="none.csv", class_names=names, **settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    "label", ["s\u00e9tosa", 'he said "x"', "a\\b", "it's", "a:b", "null", "nan", "1e3", "0x1", "a,b", "-1", "007", "~"]
)
def test_the_suggested_override_is_parsed_as_the_labels(tmp_path, label):
    quoted = '"' + label.replace('"', '""') + '"'
    message = read_error(table, tmp_path, ["plain", quoted] * 5, missing=[], class_names=["plain", "other"])
    [override] = shlex.split(message.rpartition(": set ")[2])
    config = trainer.configure("data=table", "data.path=some.csv", "data.features=2", override)
    assert {*config.data.class_names} == {"plain", label}
