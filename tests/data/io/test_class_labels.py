"""Labels: a label that is not listed, or that is nearly another one, is refused by its line and never another class."""

import shlex

import pytest
import torch

import trainer
from trainer.core.errors import UserError
from trainer.data.imdb import IMDB
from trainer.data.table import Table

LARGE = [f"1234567890123456789{digit}" for digit in "123"]  # equal as floats


def table(folder, labels, **settings):
    """A table of these labels, in the order of their rows: its column x counts them."""
    rows = [f"{number},{number % 3},{label}" for number, label in enumerate(labels)]
    (folder / "some.csv").write_text("\n".join(["x,y,answer", *rows]), encoding="utf-8")
    data = Table(**{"path": "some.csv", "dir": str(folder), "features": 2} | settings)
    data.setup("fit")
    return data


def reviews(folder, labels, **settings):
    """Reviews with these labels; each text has one word more than the one before."""
    rows = [f"{'film ' * (number + 1)},{label}" for number, label in enumerate(labels)]
    (folder / "some.csv").write_text("\n".join(["review,sentiment", *rows]), encoding="utf-8")
    data = IMDB(**{"path": "some.csv", "dir": str(folder), "val_size": 2, "test_size": 2} | settings)
    data.setup("fit")
    return data


def found(data):
    """The class of each row, by its name, in the order of the file."""
    splits = data.splits.values()
    if isinstance(data, Table):
        order = torch.cat([split.inputs[:, 0] for split in splits]).tolist()
    else:
        order = [length for split in splits for length in data.lengths(split.inputs).tolist()]
    targets = torch.cat([split.targets for split in splits]).tolist()
    return [data.class_names[target] for _, target in sorted(zip(order, targets, strict=True))]


def refused(read, folder, labels, **settings):
    with pytest.raises(UserError) as refusal:
        read(folder, labels, **settings)
    return str(refusal.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(("read", "column"), [(table, "answer"), (reviews, "sentiment")])
@pytest.mark.parametrize(
    ("labels", "class_names", "row", "message"),
    [
        ("1245312453", [1, 2, 4, 5], 4, "'3' is not in data.class_names; there are: 1, 2, 4, 5"),
        ("3124531245", [1, 2, 4, 5], 0, "'3' is not in data.class_names; there are: 1, 2, 4, 5"),
        ("1212121230", [1, 2, 3], 9, "'0' is not in data.class_names; there are: 1, 2, 3"),
        (["a", "b"] * 4 + ["1", "0"], ["a", "b"], 8, "'1' is not in data.class_names; there are: a, b"),
        (["a", "b"] * 4 + ["nan", "a"], ["a", "b"], 8, "'nan' is not in data.class_names"),
        ([*LARGE] * 4, LARGE[:2], 2, f"'{LARGE[2]}' is not in data.class_names"),
    ],
)
def test_a_label_that_is_not_listed_is_refused_by_its_line_with_what_to_set(
    tmp_path, read, column, labels, class_names, row, message
):
    said = refused(read, tmp_path, labels, class_names=class_names, **({"missing": []} if read is table else {}))
    assert said.startswith(f"some.csv, line {row + 2}, column '{column}': {message}")
    every = ",".join(sorted(map(str, {*labels})))
    assert said.endswith(f"\n  for all labels of the file: set 'data.class_names=[{every}]'".replace("nan", '"nan"'))


@pytest.mark.parametrize("read", [table, reviews])
@pytest.mark.parametrize("spelt", [("1.0", "0.0"), ("1", "0"), ("1e0", "-0"), ("\N{FULLWIDTH DIGIT ONE}", "0")])
def test_numbers_are_the_classes_of_the_same_value_in_whatever_order_they_are_listed(tmp_path, read, spelt):
    labels = [*spelt, *spelt, spelt[0]] * 2
    assert found(read(tmp_path, labels, class_names=[1, 0])) == ["1", "0", "1", "0", "1"] * 2


@pytest.mark.parametrize("read", [table, reviews])
def test_indices_stand_for_classes_with_names_of_words_only_if_they_count_from_0(tmp_path, read):
    names = ["a", "b", "c", "d"]
    assert found(read(tmp_path, "0123312001", class_names=names)) == [*"abcddbcaab"]
    said = refused(read, tmp_path, "1232112332", class_names=names)
    column = "answer" if read is table else "sentiment"
    assert said == (
        f"data.class_names: some.csv, column '{column}', has 1, 2, 3, but no 0, and classes are counted from 0 to 3; "
        "for the labels of the file: set 'data.class_names=[1,2,3]'"
    )


@pytest.mark.parametrize(
    ("labels", "first", "second"),
    [
        (["no", "yes", "Yes"], "'Yes' in line 4", "'yes' in line 3"),
        (["no", "very good", "very  good"], "'very  good' in line 4", "'very good' in line 3"),
        (["no", "yes", "yes\u200b"], "'yes' in line 3", "'yes\u200b' in line 4"),
        (["no", "1", "1.0"], "'1' in line 3", "'1.0' in line 4"),
        (["no", "caf\u00e9", "cafe\u0301"], "'cafe\u0301' in line 4", "'caf\u00e9' in line 3"),
    ],
)
def test_labels_that_are_nearly_the_same_are_not_offered_as_classes(tmp_path, labels, first, second):
    said = refused(table, tmp_path, labels * 3)
    assert said.endswith(
        f"{first} and {second} are nearly the same label: make them one in the file, or list both as classes"
    )


def test_case_matters_in_a_table_and_in_reviews_only_where_both_cases_are_listed(tmp_path):
    for read in (table, reviews):
        assert found(read(tmp_path, "aAaAaAaAaA", class_names=["A", "a"])) == [*"aAaAaAaAaA"]
    assert found(reviews(tmp_path, ["Neg", "POSITIVE"] * 5)) == ["negative", "positive"] * 5
    assert "line 3, column 'answer': 'Yes' is not in data.class_names; did you mean 'yes'?" in refused(
        table, tmp_path, ["no", "Yes"] * 5, class_names=["no", "yes"]
    )


@pytest.mark.parametrize("kind", [Table, IMDB])
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "a "], "'a' is listed twice"),
        (["1", "0", "1.0"], "'1.0' and '1' are the same"),
    ],
)
def test_a_class_may_have_one_name_alone(kind, names, message):
    settings = {"features": 2} if kind is Table else {}
    with pytest.raises(UserError, match=f"^data.class_names: {message}; give each class a name of its own$"):
        kind(path="none.csv", class_names=names, **settings)


@pytest.mark.parametrize(
    "label", ["s\u00e9tosa", 'he said "x"', "a\\b", "it's", "a:b", "null", "nan", "1e3", "0x1", "a,b", "-1", "007", "~"]
)
def test_what_is_offered_for_labels_of_any_kind_is_read_as_these_labels(tmp_path, label):
    quoted = '"' + label.replace('"', '""') + '"'
    said = refused(table, tmp_path, ["plain", quoted] * 5, missing=[])
    [word] = shlex.split(said.rpartition("; set ")[2])
    config = trainer.configure("data=table", "data.path=some.csv", "data.features=2", word)
    assert {*config.data.class_names} == {"plain", label}
