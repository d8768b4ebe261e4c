"""The cache of computed arrays."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from trainer.data.io.cache import MAX_CACHE_FILES, STALE_PART_SECONDS, hash_strings, load_or_compute


class Maker:
    """Computes arrays, and counts the calls."""

    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return {"numbers": np.arange(1000), "bytes": np.frombuffer("ä".encode(), np.uint8)}


def assert_complete(arrays):
    assert sorted(arrays) == ["bytes", "numbers"]
    assert arrays["numbers"].tolist() == list(range(1000))
    assert arrays["bytes"].tobytes().decode() == "ä"


def test_arrays_are_computed_once_and_nothing_else_is_written(tmp_path):
    make, file = Maker(), tmp_path / "cache" / "a.npz"
    for _ in range(3):
        assert_complete(load_or_compute(file, make))
    assert make.times == 1
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no archive",
        lambda content: content[:-100],
        lambda content: content[:2000] + b"\xff" + content[2001:],  # one byte of the numbers
        lambda content: b"\x93NUMPY" + content[6:],
    ],
)
def test_a_corrupted_file_is_logged_and_computed_again(tmp_path, damage, caplog):
    make, file = Maker(), tmp_path / "a.npz"
    load_or_compute(file, make)
    file.write_bytes(damage(file.read_bytes()))
    assert_complete(load_or_compute(file, make))
    assert make.times == 2
    assert f"{file} cannot be read and is computed again" in caplog.text
    assert_complete(load_or_compute(file, make))
    assert make.times == 2


def test_arrays_are_computed_each_time_if_the_directory_is_not_writable(tmp_path):
    (tmp_path / "a file").write_text("")
    for directory in (tmp_path / "a file", tmp_path / "missing" / "cache"):
        make = Maker()
        for _ in range(2):
            assert_complete(load_or_compute(directory / "a.npz", make))
        assert make.times == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


def test_an_incomplete_file_is_not_used(tmp_path, monkeypatch):
    def full_disk(stream, **arrays):
        stream.write(b"some")
        raise OSError("no space left on device")

    make, file = Maker(), tmp_path / "a.npz"
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full_disk)
        assert_complete(load_or_compute(file, make))
    assert list(tmp_path.iterdir()) == []


def test_several_processes_can_use_the_cache_at_the_same_time(tmp_path):
    code = (
        "import sys, numpy as np; from pathlib import Path; from trainer.data.io.cache import load_or_compute\n"
        "for turn in range(30):\n"
        "    made = load_or_compute(Path(sys.argv[1]) / f'{turn}.npz', lambda: {'n': np.full(20_000, turn)})\n"
        "    assert (made['n'] == turn).all() and len(made['n']) == 20_000"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[1] for process in processes] == ["", ""]
    names = [file.name for file in tmp_path.iterdir()]
    assert "29.npz" in names
    assert all(name.endswith(".npz") for name in names)
    assert len(names) <= MAX_CACHE_FILES + 1  # each may write one while the other counts


def test_the_hash_depends_on_the_boundaries_of_the_strings():
    assert len({hash_strings(parts) for parts in (["ab", "c"], ["a", "bc"], ["abc"], ["c", "ab"], ["abc", ""])}) == 5
    assert hash_strings(iter(["ab", "c"])) == hash_strings(["ab", "c"])


def test_the_least_recently_used_file_is_deleted(tmp_path):
    make = Maker()
    files = [tmp_path / f"{number}.npz" for number in range(MAX_CACHE_FILES)]
    for age, file in enumerate(reversed(files)):
        load_or_compute(file, make)
        os.utime(file, (1000.0 - age, 1000.0 - age))
    load_or_compute(files[0], make)  # the oldest is used again
    assert make.times == MAX_CACHE_FILES
    load_or_compute(tmp_path / "new.npz", make)
    assert {file.name for file in tmp_path.iterdir()} == {"new.npz", *(file.name for file in files)} - {"1.npz"}


def test_old_partial_files_are_deleted_and_recent_ones_are_not(tmp_path):
    stale, recent = tmp_path / "a.npz.1.part", tmp_path / "a.npz.2.part"
    for file in (stale, recent):
        file.write_bytes(b"some")
    long_ago = time.time() - STALE_PART_SECONDS - 60
    os.utime(stale, (long_ago, long_ago))
    load_or_compute(tmp_path / "a.npz", Maker())
    assert {file.name for file in tmp_path.iterdir()} == {"a.npz", recent.name}


def test_the_directory_is_logged_and_can_be_deleted(tmp_path, caplog):
    caplog.set_level("INFO")
    make, directory = Maker(), tmp_path / ".cache"
    for turn in (1, 2):
        load_or_compute(directory / "a.npz", make)
        assert make.times == turn
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()
    assert f"cached for the next run in {directory}, which may be deleted at any time" in caplog.text
