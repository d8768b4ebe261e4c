"""Inference of the text column, the label column and the classes of a table."""

from pathlib import Path

import pyarrow
import pytest

from trainer.core.errors import UserError
from trainer.data.io.tables.table_rows import NESTED, Dialect
from trainer.data.io.tables.text_table import TextTable
from trainer.data.io.texts.text_columns import find_text_columns, infer_class_names

ROWS = 8
LONG = [f"a long and interesting text {row}" for row in range(ROWS)]
SHORT = [f"title {row}" for row in range(ROWS)]
LINKS = [f"https://example.org/a/very/long/address/{row}" for row in range(ROWS)]
NUMBERS = [f"{row}.5" for row in range(ROWS)]
CLASSES = ["yes", "no"] * 4
EMOJI = ["😀" * (row + 3) for row in range(ROWS)]
NESTED_CELLS = [NESTED] * ROWS
STARS = ["10", "2", "1", "2"] * 2


def make_table(header=True, **columns):
    cells = [pyarrow.array(column) for column in columns.values()]
    return TextTable(
        Path("my.csv"), Dialect(header=header, can_be_nested=True), tuple(columns) if header else (), cells
    )


def read_error(function, *args):
    with pytest.raises(UserError) as error:
        function(*args)
    return str(error.value)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"sentiment": CLASSES, "review": LONG}, ("review", "sentiment")),
        ({"id": NUMBERS, "url": LINKS, "anything": LONG, "kind": CLASSES}, ("anything", "kind")),
        ({"Text": SHORT, "notes": LONG, "Label": STARS, "kind": CLASSES}, ("Text", "Label")),  # usual names first
        ({"title": SHORT, "body": LONG, "score": NUMBERS, "kind": CLASSES}, ("body", "kind")),  # scores are no classes
        ({"title": SHORT, "rest": LONG, "c": CLASSES}, ("rest", "c")),
        ({"text": EMOJI, "kind": CLASSES}, ("text", "kind")),
        ({"v2": LONG, "v1": CLASSES, "": [*["", "a", "b"], *[""] * 5]}, ("v2", "v1")),  # labels are in most rows
        ({"style": NESTED_CELLS, "rest": LONG, "label": STARS}, ("rest", "label")),
        ({"post": NUMBERS, "content": LONG, "c": CLASSES}, ("content", "c")),  # numbers are no texts
    ],
)
@pytest.mark.parametrize("header", [True, False])
def test_columns_are_found_by_name_or_content(columns, expected, header):
    if not header and "Label" in columns:
        return  # found by name only
    indices = find_text_columns(make_table(header, **columns), None, None)
    assert [[*columns][index] for index in indices] == [*expected]


def test_columns_of_the_user_are_not_inferred():
    table = make_table(text=LONG, title=SHORT, label=CLASSES, stars=STARS)
    assert find_text_columns(table, "title", -1) == (1, 3)
    assert find_text_columns(table, None, "stars") == (0, 3)


def test_a_label_column_with_a_usual_name_may_have_many_values():
    labels = ["a", "b", "c", "d", "e", "a", "b", "c"]  # more than half of the rows
    assert find_text_columns(make_table(id=NUMBERS, text=LONG, label=labels), None, None) == (1, 2)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"text": LONG, "one": CLASSES, "two": STARS},
            "data.label_column: my.csv: which column contains the labels? Possible are: column 'one' (2 values), "
            "column 'two' (3 values)\n  set it, e.g. data.label_column=one",
        ),
        (
            {"first": LONG, "second": LONG, "label": CLASSES},
            "data.text_column: my.csv: which column contains the texts? Possible are: column 'first' (8 values), "
            "column 'second' (8 values)\n  set it, e.g. data.text_column=first",
        ),
        ({"a": NUMBERS, "b": STARS}, "data.text_column: my.csv: which column contains the texts?"),
        ({"text": LONG}, "my.csv: only one column; expected texts and labels. If it has more, set data.delimiter"),
    ],
)
def test_an_ambiguous_table_is_an_error_with_the_candidates(columns, message):
    assert read_error(find_text_columns, make_table(**columns), None, None).startswith(message)


def test_text_and_label_must_be_different_columns():
    message = read_error(find_text_columns, make_table(text=LONG, label=CLASSES), "label", "label")
    assert message == "data.label_column: my.csv, column 'label' is data.text_column too"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["10", "9", "-1", "9.5"] * 2, ("-1", "9", "9.5", "10")),
        (["positive", "neutral", "negative"] * 2, ("negative", "neutral", "positive")),
        (["pos", "neg"] * 2, ("neg", "pos")),
        (["b", "", "a", "b", "a", "NA"], ("a", "b")),  # missing ones are no classes
    ],
)
def test_classes_are_in_their_natural_order(labels, expected):
    assert infer_class_names(make_table(label=labels), 0) == expected


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["good"] * 4, "data.label_column: my.csv, column 'label': every label is 'good'; need at least two classes"),
        (NUMBERS, "data.label_column: my.csv, column 'label' has 8 different labels in 8 rows; expected classes."),
    ],
)
def test_labels_that_are_no_classes_are_an_error(labels, message):
    assert read_error(infer_class_names, make_table(label=labels), 0).startswith(message)


def test_nearly_equal_labels_are_an_error_with_their_lines(tmp_path):
    (tmp_path / "my.csv").write_text("label\nGood\nbad\ngood\nbad\nbad\nbad\n")
    labels = pyarrow.array(["Good", "bad", "good", "bad", "bad", "bad"])
    table = TextTable(tmp_path / "my.csv", Dialect(), ("label",), [labels])
    message = read_error(infer_class_names, table, 0)
    assert "'Good' in line 2 and 'good' in line 4 are nearly the same label" in message
    assert message.endswith("'data.class_names=[Good,bad,good]'")


def test_a_marker_of_missing_labels_may_be_a_class():
    table = make_table(text=LONG, label=["none", "hate"] * 4)
    assert read_error(infer_class_names, table, 1).endswith(
        "every label is 'hate'; need at least two classes; if 'none' is not a missing label but a class: "
        "'data.class_names=[none,hate]'"
    )
