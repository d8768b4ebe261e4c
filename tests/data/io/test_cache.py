"""The cache: arrays are made once, damaged files anew, and nothing depends on whether one can be written."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from trainer.data.io.cache import ABANDONED, KEPT, digest, made_once


class Maker:
    """Makes arrays, and counts how often."""

    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return {"numbers": np.arange(1000), "bytes": np.frombuffer("ä".encode(), np.uint8)}


def assert_right(arrays):
    assert sorted(arrays) == ["bytes", "numbers"]
    assert arrays["numbers"].tolist() == list(range(1000))
    assert arrays["bytes"].tobytes().decode() == "ä"


def test_arrays_are_made_once_and_nothing_else_is_left(tmp_path):
    make, file = Maker(), tmp_path / "cache" / "a.npz"
    for _ in range(3):
        assert_right(made_once(file, make))
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
def test_a_damaged_file_is_made_anew_and_said(tmp_path, damage, caplog):
    make, file = Maker(), tmp_path / "a.npz"
    made_once(file, make)
    file.write_bytes(damage(file.read_bytes()))
    assert_right(made_once(file, make))
    assert make.times == 2
    assert f"{file} cannot be read and is made anew" in caplog.text
    assert_right(made_once(file, make))
    assert make.times == 2


def test_where_nothing_can_be_written_the_arrays_are_made_each_time(tmp_path):
    (tmp_path / "a file").write_text("")
    for folder in (tmp_path / "a file", tmp_path / "missing" / "cache"):
        make = Maker()
        for _ in range(2):
            assert_right(made_once(folder / "a.npz", make))
        assert make.times == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


def test_what_is_cut_short_while_it_is_written_is_not_taken(tmp_path, monkeypatch):
    def full_disk(stream, **arrays):
        stream.write(b"some")
        raise OSError("no space left on device")

    make, file = Maker(), tmp_path / "a.npz"
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full_disk)
        assert_right(made_once(file, make))
    assert list(tmp_path.iterdir()) == []


def test_processes_that_start_together_do_not_disturb_each_other(tmp_path):
    code = (
        "import sys, numpy as np; from pathlib import Path; from trainer.data.io.cache import made_once\n"
        "for turn in range(30):\n"
        "    made = made_once(Path(sys.argv[1]) / f'{turn}.npz', lambda: {'n': np.full(20_000, turn)})\n"
        "    assert (made['n'] == turn).all() and len(made['n']) == 20_000"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[1] for process in both] == ["", ""]
    left = [file.name for file in tmp_path.iterdir()]
    assert "29.npz" in left
    assert all(name.endswith(".npz") for name in left)
    assert len(left) <= KEPT + 1  # each may write one while the other counts


def test_the_name_tells_apart_what_is_joined_in_another_way():
    assert len({digest(parts) for parts in (["ab", "c"], ["a", "bc"], ["abc"], ["c", "ab"], ["abc", ""])}) == 5
    assert digest(iter(["ab", "c"])) == digest(["ab", "c"])


def test_what_was_not_used_for_longest_is_dropped(tmp_path):
    make = Maker()
    files = [tmp_path / f"{number}.npz" for number in range(KEPT)]
    for age, file in enumerate(reversed(files)):
        made_once(file, make)
        os.utime(file, (1000.0 - age, 1000.0 - age))
    made_once(files[0], make)  # the oldest is used once more
    assert make.times == KEPT
    made_once(tmp_path / "new.npz", make)
    assert {file.name for file in tmp_path.iterdir()} == {"new.npz", *(file.name for file in files)} - {"1.npz"}


def test_what_a_killed_process_left_half_written_is_dropped_and_what_one_is_writing_is_not(tmp_path):
    left, being_written = tmp_path / "a.npz.1.part", tmp_path / "a.npz.2.part"
    for file in (left, being_written):
        file.write_bytes(b"some")
    long_ago = time.time() - ABANDONED - 60
    os.utime(left, (long_ago, long_ago))
    made_once(tmp_path / "a.npz", Maker())
    assert {file.name for file in tmp_path.iterdir()} == {"a.npz", being_written.name}


def test_the_folder_is_named_and_can_be_deleted(tmp_path, caplog):
    caplog.set_level("INFO")
    make, folder = Maker(), tmp_path / ".cache"
    for turn in (1, 2):
        made_once(folder / "a.npz", make)
        assert make.times == turn
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    assert f"kept for the next run in {folder}, which may be deleted at any time" in caplog.text
