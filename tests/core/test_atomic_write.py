"""Files that are written completely or not at all."""

import os

import pytest

from trainer.core.atomic_write import atomic_path, atomic_write_bytes, atomic_write_text


def test_a_file_is_replaced_at_the_end_of_the_block(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with atomic_path(file) as partial:
        partial.write_text("new")
        assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert file.read_text() == "new"


def test_after_an_error_the_old_file_remains_and_nothing_else(tmp_path):
    file = tmp_path / "a.txt"
    atomic_write_text(file, "old")
    with pytest.raises(TypeError), atomic_path(file, ".1.part") as partial:
        partial.write_text(b"half")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert file.read_text() == "old"


def test_bytes_are_flushed_before_the_old_file_is_replaced(tmp_path, monkeypatch):
    file = tmp_path / "a.bin"
    atomic_write_bytes(file, b"o", memoryview(b"ld"))
    contents = []
    fsync = os.fsync

    def record(descriptor):
        contents.append(file.read_bytes())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    atomic_write_bytes(file, b"new")
    assert contents == [b"old", b"new"]  # of the file, and of the directory after it
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("link", ["a.txt", "a.txt.part"])
def test_a_link_is_replaced_and_its_target_is_not_changed(tmp_path, link):
    (tmp_path / "target").write_text("old")
    (tmp_path / link).symlink_to(tmp_path / "target")
    atomic_write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert (tmp_path / "target").read_text() == "old"
    assert not (tmp_path / "a.txt").is_symlink()
    assert not (tmp_path / "a.txt.part").exists()
