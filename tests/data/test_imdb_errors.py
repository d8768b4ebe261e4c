"""Errors in directories and CSV files of reviews."""

import tarfile

import pytest

from trainer.core.errors import UserError
from trainer.data import imdb
from trainer.data.imdb import IMDB
from trainer.data.io.download import DataFile, compute_md5

PARTS = ("train/neg", "train/pos", "test/neg", "test/pos")
ROWS = [f'"review {number}",{("neg", "pos")[number % 2]}' for number in range(10)]


@pytest.fixture
def tree(tmp_path):
    """Write two reviews in each directory of `mine`."""
    for part in PARTS:
        (tmp_path / "mine" / part).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "mine" / part / f"{number}.txt").write_text(f"review {part} {number}")
    return tmp_path


def read_error(root, **settings):
    """Return the error message without the root."""
    with pytest.raises(UserError) as error:
        IMDB(**{"dir": str(root), "path": "mine", "val_size": 1, "download": False} | settings).setup("fit")
    return str(error.value).replace(f"{root}/", "")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary_size": 2}, "data.vocabulary_size: must be at least 3"),
        ({"max_length": 0}, "data.max_length: must be at least 1 word"),
        ({"class_names": ["one"]}, "data.class_names: expected at least 2"),
    ],
)
def test_invalid_settings_are_errors_before_any_file_is_read(settings, message):
    with pytest.raises(UserError, match=f"^{message}"):
        IMDB(dir="no/such", **settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "mine/test/pos/1.txt: an empty review; remove it"),
        (b" <br /><br />\n", "mine/test/pos/1.txt: an empty review; remove it"),
        (b"caf\xe9", "mine/test/pos/1.txt: not UTF-8 text ('utf-8' codec can't decode byte 0xe9 in position 3: "),
    ],
)
def test_an_empty_or_invalid_review_is_an_error(tree, content, message):
    (tree / "mine/test/pos/1.txt").write_bytes(content)
    assert read_error(tree).startswith(message)


def test_an_unreadable_review_is_an_error(tree):
    (tree / "mine/train/pos/1.txt").unlink()
    (tree / "mine/train/pos/1.txt").mkdir()
    assert read_error(tree).startswith("mine/train/pos/1.txt: cannot be read: ")


def test_a_missing_directory_is_an_error_with_the_expected_ones(tree):
    (tree / "mine/train/neg").rename(tree / "mine/train/negative")
    message = "mine/train/neg is missing. Reviews are .txt files in train/neg, train/pos, test/neg and test/pos; "
    assert read_error(tree).startswith(message)


def test_a_directory_without_reviews_is_an_error(tree):
    for file in (tree / "mine/test/pos").iterdir():
        file.rename(file.with_suffix(".text"))
    assert read_error(tree) == "mine/test/pos: no reviews; expected .txt files"


def test_the_published_directory_must_be_complete(tree):
    (tree / "mine").rename(tree / "aclImdb")
    assert read_error(tree, path="aclImdb") == (
        "aclImdb/train/neg: 2 reviews, expected 12500. Move aclImdb away and run again to unpack the published "
        "reviews; to read these reviews, rename the directory and set data.path"
    )


def test_directories_have_two_classes(tree):
    assert read_error(tree, class_names="abc").startswith("data.class_names: mine has two classes")


def test_a_too_large_validation_split_is_an_error(tree):
    assert read_error(tree, val_size=4).startswith("data.val_size: 4 needs 2 of the 2 training reviews of a class")


def test_a_missing_directory_and_archive_are_an_error_with_instructions(tmp_path):
    message = read_error(tmp_path, path="aclImdb")
    for part in ("aclImdb_v1.tar.gz is missing, and data.download=false", "7c2ac02c03563afcf9b574c7e56c153a"):
        assert part in message
    assert message.endswith("\nOr put its unpacked directory there: aclImdb")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_a_corrupted_archive_leaves_no_directory(tmp_path, monkeypatch, content):
    archive = tmp_path / "aclImdb_v1.tar.gz"
    archive.write_bytes(content)
    monkeypatch.setattr(imdb, "ARCHIVE", DataFile(archive.name, compute_md5(archive)))
    assert read_error(tmp_path, path="aclImdb").startswith("aclImdb_v1.tar.gz cannot be unpacked: ")
    assert list(tmp_path.iterdir()) == [archive]


def test_an_archive_without_reviews_is_an_error(tmp_path, monkeypatch):
    archive = tmp_path / "aclImdb_v1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(__file__, "aclImdb/README")
        link = tarfile.TarInfo("aclImdb/train/pos/0_7.txt")  # a link with the name of a review
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    monkeypatch.setattr(imdb, "ARCHIVE", DataFile(archive.name, compute_md5(archive)))
    assert read_error(tmp_path, path="aclImdb").startswith("aclImdb_v1.tar.gz cannot be unpacked: ")


@pytest.mark.parametrize(
    ("lines", "settings", "message"),
    [
        (
            ["text,label", *ROWS],
            {"text_column": "review"},
            "data.text_column: my.csv has no column 'review'; there are: label, text",
        ),
        (["text,label", *ROWS], {"label_column": 2}, "data.label_column: my.csv has 2 columns, 0 to 1; no 2"),
        (
            ["text,label", *ROWS, '" <br /> ",neg'],
            {},
            "my.csv, line 12, column 'text': the text is empty; remove the row from the file",
        ),
        (
            ["text,label", *ROWS, "some,positiv"],
            {},
            "my.csv, line 12, column 'label': 'positiv' is not in data.class_names; did you mean 'positive'?",
        ),
        (["text,label", *ROWS, "some,2"], {}, "my.csv, line 12, column 'label': '2' is not in data.class_names; "),
        (["text,label", *ROWS, "some,0.5"], {}, "my.csv, line 12, column 'label': '0.5' is not in data.class_names"),
        (
            ["text,label", *(row.replace("pos", "neg") for row in ROWS)],
            {},
            "my.csv, column 'label': every review is negative; need at least two classes",
        ),
        (["text,label", *ROWS], {"test_size": 9}, "data: 10 examples cannot be split into parts of 1, 9 and a rest"),
        (["text", "one"], {}, "my.csv, line 1: only one column; is data.delimiter=',' right?"),
    ],
)
def test_an_invalid_csv_file_is_an_error_with_its_line(tmp_path, lines, settings, message):
    (tmp_path / "my.csv").write_text("\n".join(lines))
    assert read_error(tmp_path, **{"path": "my.csv", "test_size": 2} | settings).startswith(message)


def test_a_missing_path_is_an_error_with_its_location(tmp_path):
    message = "data.path: no file 'no.csv'\n  Put it there, set data.path to an absolute path, or set data.dir"
    assert read_error(tmp_path, path="no.csv").startswith(message)
