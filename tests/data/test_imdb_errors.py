"""IMDB: each mistake in a tree or in a CSV file of reviews is told by its file, with what to do."""

import tarfile

import pytest

from trainer.core.errors import UserError
from trainer.data import imdb
from trainer.data.imdb import IMDB
from trainer.data.io.download import DataFile, md5_of

PARTS = ("train/neg", "train/pos", "test/neg", "test/pos")
ROWS = [f'"review {number}",{("neg", "pos")[number % 2]}' for number in range(10)]


@pytest.fixture
def tree(tmp_path):
    """Two reviews in each folder of `mine`."""
    for part in PARTS:
        (tmp_path / "mine" / part).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "mine" / part / f"{number}.txt").write_text(f"review {part} {number}")
    return tmp_path


def refused(root, **settings):
    """What is said of the data, the root left out."""
    with pytest.raises(UserError) as refusal:
        IMDB(**{"dir": str(root), "path": "mine", "val_size": 1, "download": False} | settings).setup("fit")
    return str(refusal.value).replace(f"{root}/", "")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary_size": 2}, "data.vocabulary_size: must be at least 3"),
        ({"max_length": 0}, "data.max_length: must be at least 1 word"),
        ({"class_names": ["one"]}, "data.class_names: there must be at least 2"),
    ],
)
def test_settings_that_no_text_can_meet_are_refused_before_any_is_read(settings, message):
    with pytest.raises(UserError, match=f"^{message}"):
        IMDB(dir="no/such", **settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "mine/test/pos/1.txt: an empty review; remove it"),
        (b" <br /><br />\n", "mine/test/pos/1.txt: an empty review; remove it"),
        (b"caf\xe9", "mine/test/pos/1.txt: not text in UTF-8 ('utf-8' codec can't decode byte 0xe9 in position 3: "),
    ],
)
def test_a_review_that_is_empty_or_no_text_is_named(tree, content, message):
    (tree / "mine/test/pos/1.txt").write_bytes(content)
    assert refused(tree).startswith(message)


def test_a_review_that_cannot_be_read_is_named(tree):
    (tree / "mine/train/pos/1.txt").unlink()
    (tree / "mine/train/pos/1.txt").mkdir()
    assert refused(tree).startswith("mine/train/pos/1.txt: cannot be read: ")


def test_a_folder_that_is_missing_is_named_with_those_that_there_should_be(tree):
    (tree / "mine/train/neg").rename(tree / "mine/train/negative")
    message = "mine/train/neg is missing. Reviews lie as .txt files in train/neg, train/pos, test/neg and test/pos; "
    assert refused(tree).startswith(message)


def test_a_folder_without_reviews_is_named(tree):
    for file in (tree / "mine/test/pos").iterdir():
        file.rename(file.with_suffix(".text"))
    assert refused(tree) == "mine/test/pos: no review in it, that is no .txt file"


def test_the_published_folder_must_be_whole(tree):
    (tree / "mine").rename(tree / "aclImdb")
    assert refused(tree, path="aclImdb") == (
        "aclImdb/train/neg: 2 reviews, expected 12500. Move aclImdb elsewhere and run again to unpack the published "
        "reviews; to read these reviews, rename the directory and set data.path"
    )


def test_folders_have_two_classes(tree):
    assert refused(tree, class_names="abc").startswith("data.class_names: mine has two classes")


def test_more_validation_than_there_are_reviews_is_refused(tree):
    assert refused(tree, val_size=4).startswith("data.val_size: 4 asks for 2 of the 2 training reviews of a class")


def test_without_folder_and_archive_it_is_said_what_to_put_where(tmp_path):
    message = refused(tmp_path, path="aclImdb")
    for part in ("aclImdb_v1.tar.gz is missing, and data.download=false", "7c2ac02c03563afcf9b574c7e56c153a"):
        assert part in message
    assert message.endswith("\nOr put its unpacked folder there: aclImdb")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_an_archive_that_cannot_be_unpacked_leaves_no_folder(tmp_path, monkeypatch, content):
    archive = tmp_path / "aclImdb_v1.tar.gz"
    archive.write_bytes(content)
    monkeypatch.setattr(imdb, "ARCHIVE", DataFile(archive.name, md5_of(archive)))
    assert refused(tmp_path, path="aclImdb").startswith("aclImdb_v1.tar.gz cannot be unpacked: ")
    assert list(tmp_path.iterdir()) == [archive]


def test_an_archive_of_other_things_is_refused(tmp_path, monkeypatch):
    archive = tmp_path / "aclImdb_v1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(__file__, "aclImdb/README")
        link = tarfile.TarInfo("aclImdb/train/pos/0_7.txt")  # of a name that is wanted, to a file that is not its own
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    monkeypatch.setattr(imdb, "ARCHIVE", DataFile(archive.name, md5_of(archive)))
    assert refused(tmp_path, path="aclImdb").startswith("aclImdb_v1.tar.gz cannot be unpacked: ")


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
            "my.csv, line 12, column 'text': the text is empty; take the row out of the file",
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
        (["text,label", *ROWS], {"test_size": 9}, "data: 10 examples cannot be cut into parts of 1, 9 and a rest"),
        (["text", "one"], {}, "my.csv, line 1: only one column; is data.delimiter=',' right?"),
    ],
)
def test_a_csv_file_with_a_mistake_is_refused_by_its_line(tmp_path, lines, settings, message):
    (tmp_path / "my.csv").write_text("\n".join(lines))
    assert refused(tmp_path, **{"path": "my.csv", "test_size": 2} | settings).startswith(message)


def test_a_path_that_leads_nowhere_is_told_with_where_it_was_sought(tmp_path):
    message = "data.path: no file 'no.csv'\n  Put it there, give data.path in full, or point data.dir"
    assert refused(tmp_path, path="no.csv").startswith(message)
