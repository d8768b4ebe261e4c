"""Full disks, deleted directories and closed streams: one message, no traceback, and nothing is lost."""

import errno
import logging
import os
import subprocess
import sys

import pytest

from trainer.core.standard_streams import open_standard_streams

DELETE = """
import shutil
from pytorch_lightning import Callback

class Delete(Callback):
    def on_train_epoch_end(self, trainer, module):
        shutil.rmtree(trainer.default_root_dir)
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["runs"], ["list"], ["data=xor"], ["-m", "data=xor", "seed=1,2"]], ids=" ".join
)
def test_a_deleted_working_directory_is_one_error(command, tmp_path, monkeypatch, arguments):
    (tmp_path / "deleted").mkdir()
    monkeypatch.chdir(tmp_path / "deleted")
    (tmp_path / "deleted").rmdir()
    outcome = command(*arguments)
    assert outcome.code == 1
    assert outcome.err == "error: the working directory was deleted; change to another one\n"


def test_a_run_directory_that_is_deleted_during_the_run_is_one_error(command, tmp_path):
    (tmp_path / "deleting.py").write_text(DELETE)
    run = ["data=xor", "data.repeats=1", "trainer.max_epochs=2", "hydra.run.dir=run"]
    outcome = command(*run, "+callbacks.delete._target_=deleting.Delete")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1] == f"error: the run directory '{tmp_path}/run' was deleted during the run"
    assert "Traceback" not in outcome.err + outcome.out


def test_a_full_disk_before_the_run_is_one_error(command, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "run/.hydra/config.yaml")

    monkeypatch.setattr("hydra.core.utils._save_config", fail)
    outcome = command("data=xor", "hydra.run.dir=run")
    assert outcome.code == 1
    assert outcome.err.startswith("error: cannot write 'run/.hydra/config.yaml': No space left on device")
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(("error", "lines"), [(OSError(errno.ENOSPC, "No space left"), 1), (BrokenPipeError(), 0)])
def test_a_log_that_cannot_be_written_is_reported_once(monkeypatch, capsys, error, lines):
    class Full:
        name = "trainer.log"

        def write(self, text):
            raise error

    monkeypatch.setattr(logging.Handler, "handleError", logging.Handler.handleError)  # restored at the end
    open_standard_streams()
    handler = logging.StreamHandler(Full())
    for text in ("first", "second"):
        handler.emit(logging.makeLogRecord({"msg": text}))
    expected = f"warning: cannot write to 'trainer.log': {error}; messages are missing there"
    assert capsys.readouterr().err.splitlines() == [expected] * lines


def test_the_output_of_a_command_on_a_full_disk_is_one_error(process):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "trainer", "list"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("error: cannot write: No space left on device")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", ["size=4k", "size=28k", "size=100k", "size=10m,nr_inodes=6", "size=10m,nr_inodes=13"]
)
def test_a_run_on_a_full_disk_has_no_traceback_and_is_resumed(process, tmp_path, options):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk]
    if not hasattr(os, "geteuid") or os.geteuid() or subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("needs the permission to mount a file system")
    try:
        run = ["data=digits", "model=cnn", "trainer.max_epochs=1", f"hydra.run.dir={disk}/run"]
        outcome = process(*run)
        assert outcome.code == 1
        assert "No space left on device" in outcome.err
        assert str(disk) in outcome.err
        assert "Traceback" not in outcome.err + outcome.out
        subprocess.run(["mount", "-o", "remount,size=20m,nr_inodes=1000", disk], check=True)
        outcome = process(*run, "resume=auto")
        assert outcome.code == 0, outcome.err
        assert (disk / "run/result.json").is_file()
    finally:
        subprocess.run(["umount", disk], check=True)
