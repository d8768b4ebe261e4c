"""Errors in users' texts, with file, line, column and what to set."""

import pytest

from trainer.core.errors import UserError
from trainer.data.texts import Texts

ROWS = [f'"review {number}",{("neg", "pos")[number % 2]}' for number in range(10)]
HEADER = "text,label"
REMEDY = "\n  fix or remove it, or leave out such rows: data.skip_missing=true"


def read_error(root, **settings):
    """Return the error message without the root."""
    with pytest.raises(UserError) as error:
        Texts(**{"dir": str(root), "path": "my.csv"} | settings).setup("fit")
    return str(error.value).replace(f"{root}/", "")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_names": ["one"]}, "data.class_names: expected at least 2, or [] for those in the file"),
        ({"class_names": ["a", "a"]}, "data.class_names: 'a' is listed twice"),
        ({"vocabulary_size": 2}, "data.vocabulary_size: must be at least 3"),
        ({"max_length": 0}, "data.max_length: must be at least 1 token"),
    ],
)
def test_invalid_settings_are_errors_before_any_file_is_read(tmp_path, settings, message):
    assert read_error(tmp_path, **settings).startswith(message)


@pytest.mark.parametrize(
    ("lines", "settings", "message"),
    [
        ([*ROWS, '" <br /> ",neg'], {}, "my.csv, line 12, column 'text': the text is empty" + REMEDY),
        (
            [*ROWS, "nan,neg", ",neg"],
            {},
            "my.csv, line 12, column 'text': the text is missing ('nan'); the same in 1 more",
        ),
        ([*ROWS, "<b></b>,neg"], {"html": True}, "my.csv, line 12, column 'text': the text is empty"),
        ([*ROWS, "some,"], {}, "my.csv, line 12, column 'label': the label is missing" + REMEDY),
        ([*ROWS, "some,NA"], {}, "my.csv, line 12, column 'label': the label is missing ('NA')"),
        (ROWS, {"text_column": "review"}, "data.text_column: my.csv has no column 'review'; there are: label, text"),
        (ROWS, {"label_column": 2}, "data.label_column: my.csv has 2 columns, 0 to 1; no 2"),
        (
            [*ROWS, "some,positiv"],
            {"class_names": ["negative", "positive"]},
            "my.csv, line 12, column 'label': 'positiv' is not in data.class_names; did you mean 'positive'?",
        ),
        (
            [row.replace("pos", "neg") for row in ROWS],
            {"class_names": ["negative", "positive"]},
            "data.path: every text is of class 'negative'; need at least two classes",
        ),
        ([*ROWS, "one,new", "two,new"], {}, "data: class 'new' has 2 different texts, but 3 splits need at least one"),
        (ROWS, {"test_path": "my.csv"}, "data.path: all its texts are also in data.val_path or data.test_path"),
        (ROWS, {"test_path": "no.csv"}, "data.test_path: no file 'no.csv' in the working directory"),
        (ROWS, {"path": "no.csv"}, "data.path: no file 'no.csv' in the working directory"),
    ],
)
def test_an_invalid_table_is_an_error_with_its_line(tmp_path, lines, settings, message):
    (tmp_path / "my.csv").write_text("\n".join([HEADER, *lines]))
    assert read_error(tmp_path, **settings).startswith(message)


def test_rows_without_text_or_label_are_left_out_on_request(tmp_path, caplog):
    (tmp_path / "my.csv").write_text("\n".join([HEADER, ",neg", *ROWS, "some,", "na,pos"]))
    data = Texts(dir=str(tmp_path), path="my.csv", skip_missing=True)
    data.setup("fit")
    assert sum(len(split.targets) for split in data.splits.values()) == 10
    assert "left out 3 rows without text or label; the first: " in caplog.text
    assert "my.csv, line 2, column 'text': the text is empty; the same in 2 more" in caplog.text


def test_lines_are_those_of_the_file_if_rows_are_left_out(tmp_path):
    (tmp_path / "my.csv").write_text("\n".join([HEADER, ",neg", *ROWS, "some,maybe"]))
    message = read_error(tmp_path, skip_missing=True, class_names=["neg", "pos"])
    assert message.startswith("my.csv, line 13, column 'label': 'maybe' is not in data.class_names")


def test_a_marker_of_missing_labels_may_be_a_class(tmp_path):
    (tmp_path / "my.csv").write_text("\n".join([HEADER, *(row.replace("neg", "none") for row in ROWS)]))
    data = Texts(dir=str(tmp_path), path="my.csv", class_names=["none", "pos"])
    data.setup("fit")
    assert sum(int(split.targets.sum()) for split in data.splits.values()) == 5


def test_fractions_that_leave_no_training_texts_are_an_error(tmp_path):
    (tmp_path / "my.csv").write_text("\n".join([HEADER, *ROWS]))
    message = "data.val_fraction and data.test_fraction: must be below 1 together"
    assert read_error(tmp_path, val_fraction=0.5, test_fraction=0.5) == message


@pytest.fixture
def directories(tmp_path):
    """Write three texts in each of two directories."""
    for name in ("bad", "good"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for number in range(3):
            (tmp_path / f"mine/{name}/{number}.txt").write_text(f"{name} {number}")
    return tmp_path


def test_an_empty_file_in_a_directory_is_an_error(directories):
    (directories / "mine/good/1.txt").write_text(" \n")
    assert read_error(directories, path="mine") == "mine/good/1.txt: the text is empty" + REMEDY


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_names": ["bad", "god"]}, "data.class_names: no directory 'god'; did you mean 'good'?"),
        ({"test_path": "a.csv"}, "data.test_path: data.path is a directory; put the texts in mine/test/CLASS"),
        ({"path": "mine/bad"}, "data.path: no class directories in 'mine/bad'; expected one directory per class: "),
    ],
)
def test_invalid_directories_are_errors(directories, settings, message):
    assert read_error(directories, **{"path": "mine"} | settings).startswith(message)


def test_errors_of_directories_name_the_setting_of_texts(directories):
    (directories / "mine/Good").mkdir()
    assert "data.class_names=[Good,bad,good]" in read_error(directories, path="mine")


def test_a_class_without_texts_is_an_error(directories):
    (directories / "mine/empty").mkdir()
    message = (
        "data.path: no .txt files in 'mine/empty'; add some, or leave out the class: 'data.class_names=[bad,good]'"
    )
    assert read_error(directories, path="mine") == message


def test_other_files_of_a_class_without_texts_are_listed(directories):
    (directories / "mine/mails").mkdir()
    (directories / "mine/mails/1.eml").write_text("a")
    assert "no .txt files in 'mine/mails' (skipped: 1 .eml); add some" in read_error(directories, path="mine")
    (directories / "mine/mails/1.eml").rename(directories / "mine/mails/52910")
    assert Texts(dir=str(directories), path="mine").class_names == ("bad", "good", "mails")


def test_a_directory_of_tables_is_an_error_with_a_file(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/train.csv").write_text(HEADER)
    assert read_error(tmp_path, path="mine").endswith("\n  to read a file in it: data.path=mine/train.csv")
