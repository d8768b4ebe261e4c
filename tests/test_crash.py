"""Failures such as a corrupted checkpoint or a full disk: the run reports them, loses nothing and resumes."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from trainer.artifacts import checkpoint_io
from trainer.artifacts.run_lock import LOCK_FILENAME
from trainer.artifacts.run_record import RunRecord

pytestmark = pytest.mark.usefixtures("user_module")
TINY = ["data=digits", "model=mlp", "model.net.hidden=[4]", "model.net.dropout=0.5", "trainer.max_epochs=3"]
STOP = ["+callbacks.stop._target_=users.StopAt", "hydra.run.dir=run"]


def load_weights(run):
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def cache():
    """Directory for the two runs of `stopped`."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@pytest.fixture
def stopped(command, tmp_path, cache):
    """Return a run that was stopped at step 27 of 60, in its second epoch; and the weights of an uninterrupted one."""
    if not (cache / "run").exists():
        assert command(*TINY, "hydra.run.dir=uninterrupted").code == 0
        (tmp_path / "stop.txt").write_text("SIGTERM")
        outcome = command(*TINY, *STOP)
        assert outcome.code == 143
        assert f"to resume: trainer resume {tmp_path / 'run'}" in outcome.out
        for name in ("uninterrupted", "run"):
            shutil.copytree(tmp_path / name, cache / name)
    else:
        for name in ("uninterrupted", "run"):
            shutil.copytree(cache / name, tmp_path / name)
        provenance = tmp_path / "run/provenance.json"
        provenance.write_text(json.dumps(json.loads(provenance.read_text()) | {"directory": str(tmp_path)}))
    assert RunRecord(tmp_path / "run").state == "interrupted"
    return tmp_path / "run", load_weights(tmp_path / "uninterrupted")


def assert_finished(outcome, run, expected):
    assert outcome.code == 0, outcome.err
    weights = load_weights(run)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert json.loads((run / "result.json").read_text())["state"] == "finished"


def cut(content):
    return content[: len(content) // 2]


def flip(content):
    index = len(content) // 2
    return content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :]


@pytest.mark.slow
@pytest.mark.parametrize("corrupt", [cut, flip, lambda _: b""], ids=["cut off", "a bit flipped", "empty"])
def test_a_corrupted_checkpoint_is_detected_and_the_previous_one_used(corrupt, stopped, command):
    run, expected = stopped
    last = run / "checkpoints/last.ckpt"
    last.write_bytes(corrupt(last.read_bytes()))
    outcome = command("resume", "run")
    assert "last.ckpt is corrupted" in outcome.out
    assert "resume previous.ckpt, step 20, epoch 2" in outcome.out
    assert last.with_name("last.ckpt.damaged").is_file()
    assert_finished(outcome, run, expected)


@pytest.mark.slow
def test_a_run_without_a_valid_checkpoint_starts_from_the_beginning(stopped, command):
    run, expected = stopped
    for file in (run / "checkpoints").glob("*.ckpt"):
        file.write_bytes(b"nonsense")
    outcome = command("resume", "run")
    assert "from the start" in outcome.out
    assert_finished(outcome, run, expected)


def test_a_full_disk_stops_the_run_and_keeps_the_last_checkpoint(stopped, command, monkeypatch):
    run, expected = stopped
    content = (run / "checkpoints/last.ckpt").read_bytes()

    fsync = os.fsync

    def full(descriptor):
        if ".ckpt" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(28, os.strerror(28))
        fsync(descriptor)

    with monkeypatch.context() as no_space:
        no_space.setattr(checkpoint_io.os, "fsync", full)
        outcome = command("resume", "run")
    assert outcome.code == 1
    assert "last.ckpt': No space left on device" in outcome.err or "best.ckpt': No space left" in outcome.err
    assert "Traceback" not in outcome.err
    assert (run / "checkpoints/last.ckpt").read_bytes() == content
    assert not list(run.glob("checkpoints/*.part"))
    assert_finished(command("resume", "run"), run, expected)


@pytest.mark.slow
def test_a_deleted_event_file_is_reported_and_the_run_resumed(stopped, command):
    run, expected = stopped
    for file in (run / "tensorboard").iterdir():
        file.unlink()
    outcome = command("resume", "run")
    assert f"cannot restore the curves of '{run}'; missing: tensorboard/events" in outcome.out
    assert_finished(outcome, run, expected)


@pytest.mark.slow
def test_a_second_process_is_refused(stopped, command):
    run, expected = stopped
    files = sorted((file, file.stat().st_mtime) for file in run.rglob("*"))
    with FileLock(run / LOCK_FILENAME):
        outcome = command("resume", "run")
        assert outcome.code == 1
        assert "is in use by another process" in outcome.err
        (run / "result.json").rename(run.parent / "aside.json")
        assert RunRecord(run).state == "running"
        (run.parent / "aside.json").rename(run / "result.json")
    new_files = sorted((file, file.stat().st_mtime) for file in run.rglob("*"))
    ignored = {LOCK_FILENAME, "run", "trainer.log", "checkpoints"}
    assert [row for row in new_files if row[0].name not in ignored] == [
        row for row in files if row[0].name not in ignored
    ]
    assert_finished(command("resume", "run"), run, expected)


@pytest.mark.slow
def test_a_moved_run_is_resumed_in_its_new_directory(stopped, command):
    run, expected = stopped
    moved = run.parent / "other/moved"
    moved.parent.mkdir()
    shutil.move(run, moved)
    assert_finished(command("resume", str(moved)), moved, expected)
    assert not run.exists()
    checkpoint = json.loads((moved / "result.json").read_text())["checkpoint"]
    assert checkpoint == str(moved / "checkpoints/best.ckpt")


@pytest.mark.slow
def test_another_version_of_pytorch_is_reported(stopped, command):
    run, expected = stopped
    last = run / "checkpoints/last.ckpt"
    content = torch.load(last, weights_only=True)
    content["resume"]["torch"] = "1.13.0"
    checkpoint_io.AtomicCheckpointIO().save_checkpoint(content, last)
    outcome = command("resume", "run")
    assert "last.ckpt was written with torch 1.13.0, this is" in outcome.out
    assert_finished(outcome, run, expected)


@pytest.mark.slow
def test_a_finished_run_is_resumed_only_if_it_is_extended(stopped, command):
    run, _ = stopped
    assert command("resume", "run").code == 0
    outcome = command("resume", "run")
    assert outcome.code == 0
    assert "is finished; to train longer: trainer resume" in outcome.out
    assert command(*TINY[:-1], "trainer.max_epochs=5", "hydra.run.dir=long").code == 0
    assert_finished(command("resume", "run", "trainer.max_epochs=5"), run, load_weights(run.parent / "long"))
    assert (run / "metrics.csv").read_text() == (run.parent / "long/metrics.csv").read_text()
    assert len(json.loads((run / "provenance.json").read_text())["resumed"]) == 2


@pytest.mark.slow
def test_settings_that_change_the_results_are_refused(stopped, command):
    run, expected = stopped
    outcome = command("resume", "run", "optimizer.lr=0.5")
    assert outcome.code == 1
    assert "optimizer.lr: 0.001 saved, 0.5 now" in outcome.err
    assert RunRecord(run).state == "interrupted"
    assert "did you mean 'max_epochs'" in command("resume", "run", "trainer.max_epoch=9").err
    assert "only single values" in command("resume", "run", "model=cnn").err
    assert "is not a run directory" in command("resume", "nothing").err
    assert_finished(command("resume", "run"), run, expected)


@pytest.mark.slow
def test_the_same_command_starts_and_resumes_a_run_under_a_cluster_scheduler(command, tmp_path):
    assert command(*TINY, "hydra.run.dir=uninterrupted").code == 0
    (tmp_path / "stop.txt").write_text("SIGTERM")
    overrides = [*TINY, *STOP, "resume=auto"]
    assert command(*overrides).code == 143
    outcome = command(*overrides)
    assert "resume last.ckpt, step 27, epoch 2" in outcome.out
    assert_finished(outcome, tmp_path / "run", load_weights(tmp_path / "uninterrupted"))
    assert "is finished" in command(*overrides).out
    assert "optimizer.lr: 0.001 saved, 0.5 now" in command(*overrides, "optimizer.lr=0.5").err


def test_a_read_only_directory_is_reported(stopped, command, monkeypatch):
    assert stopped
    monkeypatch.setattr(os, "access", lambda *_: False)  # root can write to all directories
    outcome = command("resume", "run")
    assert outcome.code == 1
    assert "cannot write to" in outcome.err


def test_a_killed_run_is_distinguished_from_a_running_one(tmp_path):
    assert RunRecord(tmp_path).state == "killed"
    with FileLock(tmp_path / LOCK_FILENAME):
        assert RunRecord(tmp_path).state == "running"
