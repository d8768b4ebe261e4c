"""Messages for full disks, which name the directories that are full."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from trainer.core.disk_space import explain_full_disk, is_disk_full
from trainer.core.errors import to_user_error

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
SHARED_MEMORY_ERROR = RuntimeError("unable to write to file </torch_1_2_3>: No space left on device (28)")


@pytest.fixture
def fill(monkeypatch):
    """Return a function that lets directories have the given free blocks and inodes."""

    def set_free(free):
        def statvfs(path):
            blocks, inodes = free.get(str(path), (10**9, 10**9))
            return SimpleNamespace(f_bavail=blocks, f_frsize=4096, f_files=100, f_favail=inodes)

        monkeypatch.setattr(os, "statvfs", statvfs)

    return set_free


def test_the_full_directories_are_named(fill, tmp_path):
    fill({str(tmp_path): (10, 100), "/dev/shm": (10**9, 0)})
    reason = os.strerror(errno.ENOSPC)
    assert explain_full_disk(FULL, [tmp_path]) == f"cannot write: {reason}; full: {tmp_path}, /dev/shm"
    fill({"/dev/shm": (0, 100)})
    assert explain_full_disk(SHARED_MEMORY_ERROR) == f"cannot write: {reason}; full: /dev/shm"
    fill({})
    error = OSError(errno.EROFS, "Read-only file system", "a.txt")
    assert explain_full_disk(error) == "cannot write 'a.txt': Read-only file system"
    assert "full" not in explain_full_disk(FULL, [Path("nowhere")])


def test_errors_of_full_disks_are_recognized():
    assert is_disk_full(FULL)
    assert is_disk_full(SHARED_MEMORY_ERROR)
    assert not is_disk_full(RuntimeError("another error"))
    assert not is_disk_full(FileNotFoundError(errno.ENOENT, "no file"))
    assert "free disk space" in str(to_user_error(SHARED_MEMORY_ERROR, {}))


def test_a_deleted_run_directory_is_named(tmp_path):
    error = FileNotFoundError(errno.ENOENT, "no file")
    assert str(to_user_error(error, {}, tmp_path / "run")) == (
        f"the run directory '{tmp_path}/run' was deleted during the run"
    )
    assert to_user_error(error, {}, tmp_path) is None
    assert to_user_error(ValueError("a bug"), {}, tmp_path / "run") is None
