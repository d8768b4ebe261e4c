"""Paths of users' files."""

from pathlib import Path

import pytest

from trainer.core.errors import UserError
from trainer.data.io.data_path import explain_missing_path, fetch_path, find_path, is_url


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return a data root beside the working directory, both with a file a.csv."""
    for name in ("work", "root"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csv").touch()
    (tmp_path / "root" / "b.csv").touch()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "root"))
    return tmp_path / "root"


def test_a_file_in_the_working_directory_is_preferred(root):
    assert find_path("a.csv", root) == Path("a.csv")
    assert find_path("b.csv", root) == root / "b.csv"
    assert find_path("none.csv", root) == root / "none.csv"


def test_the_home_directory_is_expanded(root):
    assert find_path("~/b.csv", "elsewhere") == root / "b.csv"
    assert find_path("b.csv", "~") == root / "b.csv"
    assert find_path("~/none.csv", "elsewhere") == root / "none.csv"


def test_an_absolute_path_is_unchanged(root):
    assert find_path("/no/such.csv", root) == Path("/no/such.csv")


@pytest.mark.parametrize("url", ["https://example.org/x/some%20file.csv", "HTTP://example.org/x/some%20file.csv"])
def test_a_url_is_a_file_of_this_name_in_the_root(root, url):
    assert is_url(url)
    assert find_path(url, root) == root / "some file.csv"


def test_an_existing_file_needs_no_checksum(root):
    assert fetch_path("b.csv", root, md5="") == root / "b.csv"
    assert fetch_path("a.csv", root, md5="d41d8cd98f00b204e9800998ecf8427e") == Path("a.csv")  # of an empty file


def test_another_checksum_is_an_error(root):
    with pytest.raises(UserError, match="MD5"):
        fetch_path("a.csv", root, md5="0" * 32, download=False)


def test_the_checksum_of_another_file_is_ignored(root):
    assert fetch_path("a.csv", root, md5=f"{'0' * 32} *b.csv") == Path("a.csv")
    with pytest.raises(UserError, match="MD5"):
        fetch_path("b.csv", root, md5=f"{'0' * 32}  b.csv", download=False)


def test_the_message_for_a_missing_path_names_both_directories(root):
    with pytest.raises(UserError) as error:
        fetch_path("x/none.csv", root, md5="")
    assert str(error.value) == explain_missing_path("x/none.csv", root, "file")
    assert str(error.value).startswith(
        f"data.path: no file 'x/none.csv' in the working directory, and no '{root}/x/none.csv'\n"
    )
    assert explain_missing_path("~/x", root, "directory") == f"data.path: no directory '{root}/x'"
