"""Errors in the directories of the film reviews."""

import tarfile

import pytest

from trainer.core.errors import UserError
from trainer.data import imdb
from trainer.data.imdb import IMDB
from trainer.data.io.download import DataFile, compute_md5

PARTS = ("train/neg", "train/pos", "test/neg", "test/pos")


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Write two reviews in each directory of `aclImdb`, and accept this number."""
    monkeypatch.setattr(imdb, "REVIEWS_PER_DIRECTORY", 2)
    for part in PARTS:
        (tmp_path / "aclImdb" / part).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "aclImdb" / part / f"{number}.txt").write_text(f"review {part} {number}")
    return tmp_path


def read_error(root, **settings):
    """Return the error message without the root."""
    with pytest.raises(UserError) as error:
        IMDB(**{"dir": str(root), "val_size": 1, "download": False} | settings).setup("fit")
    return str(error.value).replace(f"{root}/", "")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary_size": 2}, "data.vocabulary_size: must be at least 3"),
        ({"max_length": 0}, "data.max_length: must be at least 1 token"),
    ],
)
def test_invalid_settings_are_errors_before_any_file_is_read(settings, message):
    with pytest.raises(UserError, match=f"^{message}"):
        IMDB(dir="no/such", **settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "aclImdb/test/pos/1.txt: an empty text; remove it"),
        (b" <br /><br />\n", "aclImdb/test/pos/1.txt: an empty text; remove it"),
        (b"caf\xe9", "aclImdb/test/pos/1.txt: not UTF-8 text ('utf-8' codec can't decode byte 0xe9 in position 3: "),
    ],
)
def test_an_empty_or_invalid_review_is_an_error(tree, content, message):
    (tree / "aclImdb/test/pos/1.txt").write_bytes(content)
    assert read_error(tree).startswith(message)


def test_an_unreadable_review_is_an_error(tree):
    (tree / "aclImdb/train/pos/1.txt").unlink()
    (tree / "aclImdb/train/pos/1.txt").mkdir()
    assert read_error(tree).startswith("aclImdb/train/pos/1.txt: cannot be read: ")


REMEDY = (
    "Move aclImdb away and run again to unpack the published reviews; to read your own texts, set data=texts "
    "data.path=aclImdb"
)


def test_a_missing_directory_is_an_error(tree):
    (tree / "aclImdb/train/neg").rename(tree / "aclImdb/train/negative")
    assert read_error(tree).replace(f"{tree}/", "") == f"aclImdb/train/neg is missing. {REMEDY}"


def test_the_published_directory_must_be_complete(tree):
    (tree / "aclImdb/test/pos/1.txt").rename(tree / "aclImdb/test/pos/1.text")
    assert read_error(tree) == f"aclImdb/test/pos: 1 reviews, expected 2. {REMEDY}"


def test_a_too_large_validation_split_is_an_error(tree):
    assert read_error(tree, val_size=4).startswith("data.val_size: 4 needs 2 of the 2 training reviews of a class")


def test_a_missing_directory_and_archive_are_an_error_with_instructions(tmp_path):
    message = read_error(tmp_path)
    for part in ("aclImdb_v1.tar.gz is missing, and data.download=false", "7c2ac02c03563afcf9b574c7e56c153a"):
        assert part in message
    assert message.endswith("\nOr put its unpacked directory there: aclImdb")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_a_corrupted_archive_leaves_no_directory(tmp_path, monkeypatch, content):
    archive = tmp_path / "aclImdb_v1.tar.gz"
    archive.write_bytes(content)
    monkeypatch.setattr(imdb, "ARCHIVE", DataFile(archive.name, compute_md5(archive)))
    assert read_error(tmp_path).startswith("aclImdb_v1.tar.gz cannot be unpacked: ")
    assert list(tmp_path.iterdir()) == [archive]


def test_an_archive_without_reviews_is_an_error(tmp_path, monkeypatch):
    archive = tmp_path / "aclImdb_v1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(__file__, "aclImdb/README")
        link = tarfile.TarInfo("aclImdb/train/pos/0_7.txt")  # a link with the name of a review
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    monkeypatch.setattr(imdb, "ARCHIVE", DataFile(archive.name, compute_md5(archive)))
    assert read_error(tmp_path).startswith("aclImdb_v1.tar.gz cannot be unpacked: ")
