"""What can break, broken: a run says so, keeps what it has, and goes on from there."""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from trainer.artifacts import checkpoint_io
from trainer.artifacts.run_lock import LOCK, state_of


@pytest.fixture(autouse=True)
def own_code(monkeypatch):
    """A run's config may name the module that these tests write."""
    monkeypatch.setenv("TRAINER_TRUST", "users")


TINY = ["data=digits", "model=mlp", "model.net.hidden=[4]", "model.net.dropout=0.5", "trainer.max_epochs=3"]
STOP = ["+callbacks.stop._target_=users.StopAt", "hydra.run.dir=run"]
USERS = """
import os
import signal
from pathlib import Path

import torch
from pytorch_lightning import Callback

from trainer.task.supervised import Supervised


class StopAt(Callback):
    def on_train_batch_end(self, trainer, *_):
        file = Path("stop.txt")
        if file.exists() and trainer.fit_loop.total_batch_idx + 1 == 27:
            for name in file.read_text().split():
                signal.raise_signal(getattr(signal, name))
            file.unlink()

"""


def weights(run):
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def made():
    """Where the two runs of `stopped` are kept from the first test on."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def stopped(command, tmp_path, made):
    """A run stopped at step 27 of 60, whose last whole epoch ended at 20; and the weights that it would have had."""
    (tmp_path / "users.py").write_text(USERS)
    if not (made / "run").exists():
        assert command(*TINY, "hydra.run.dir=through").code == 0
        (tmp_path / "stop.txt").write_text("SIGTERM")
        outcome = command(*TINY, *STOP)
        assert outcome.code == 143
        assert f"go on with it: trainer resume {tmp_path / 'run'}" in outcome.out
        for name in ("through", "run"):
            shutil.copytree(tmp_path / name, made / name)
    else:
        for name in ("through", "run"):
            shutil.copytree(made / name, tmp_path / name)
        origin = tmp_path / "run/provenance.json"
        origin.write_text(json.dumps(json.loads(origin.read_text()) | {"directory": str(tmp_path)}))
    assert state_of(tmp_path / "run") == "interrupted"
    yield tmp_path / "run", weights(tmp_path / "through")
    sys.modules.pop("users", None)


def arrives(outcome, run, right):
    assert outcome.code == 0, outcome.err
    found = weights(run)
    assert all(torch.equal(found[name], right[name]) for name in right)
    assert json.loads((run / "result.json").read_text())["state"] == "finished"


def cut(content):
    return content[: len(content) // 2]


def flip(content):
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("damage", [cut, flip, lambda _: b""], ids=["cut off", "a bit flipped", "empty"])
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_it_used(damage, stopped, command):
    run, right = stopped
    last = run / "checkpoints/last.ckpt"
    last.write_bytes(damage(last.read_bytes()))
    outcome = command("resume", "run")
    assert "last.ckpt is damaged" in outcome.out
    assert "resume previous.ckpt, step 20, epoch 2" in outcome.out
    assert last.with_name("last.ckpt.damaged").is_file()
    arrives(outcome, run, right)


@pytest.mark.slow
def test_without_any_good_checkpoint_it_begins_anew(stopped, command):
    run, right = stopped
    for file in (run / "checkpoints").glob("*.ckpt"):
        file.write_bytes(b"nonsense")
    outcome = command("resume", "run")
    assert "from the start" in outcome.out
    arrives(outcome, run, right)


def test_a_full_disk_ends_the_run_and_leaves_the_last_good_checkpoint(stopped, command, monkeypatch):
    run, right = stopped
    before = (run / "checkpoints/last.ckpt").read_bytes()

    def full(_):
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as no_space:
        no_space.setattr(checkpoint_io.os, "fsync", full)
        outcome = command("resume", "run")
    assert outcome.code == 1
    assert "last.ckpt': No space left on device" in outcome.err or "best.ckpt': No space left" in outcome.err
    assert "Traceback" not in outcome.err
    assert (run / "checkpoints/last.ckpt").read_bytes() == before
    assert not list(run.glob("checkpoints/*.part"))
    arrives(command("resume", "run"), run, right)


@pytest.mark.slow
def test_a_deleted_event_file_is_told_and_the_run_goes_on(stopped, command):
    run, right = stopped
    for file in (run / "tensorboard").iterdir():
        file.unlink()
    outcome = command("resume", "run")
    assert "lost from the curves: tensorboard/events" in outcome.out
    arrives(outcome, run, right)


def test_of_two_processes_one_is_refused(stopped, command):
    run, right = stopped
    before = sorted((file, file.stat().st_mtime) for file in run.rglob("*"))
    with FileLock(run / LOCK):
        outcome = command("resume", "run")
        assert outcome.code == 1
        assert "another process is at work in" in outcome.err
        (run / "result.json").rename(run.parent / "aside.json")
        assert state_of(run) == "running"
        (run.parent / "aside.json").rename(run / "result.json")
    after = sorted((file, file.stat().st_mtime) for file in run.rglob("*"))
    known = {LOCK, "run", "trainer.log", "checkpoints"}
    assert [row for row in after if row[0].name not in known] == [row for row in before if row[0].name not in known]
    arrives(command("resume", "run"), run, right)


@pytest.mark.slow
def test_a_run_that_was_moved_goes_on_where_it_is(stopped, command):
    run, right = stopped
    moved = run.parent / "elsewhere/moved"
    moved.parent.mkdir()
    shutil.move(run, moved)
    arrives(command("resume", str(moved)), moved, right)
    assert not run.exists()
    checkpoint = json.loads((moved / "result.json").read_text())["checkpoint"]
    assert checkpoint == str(moved / "checkpoints/best.ckpt")


@pytest.mark.slow
def test_another_version_of_pytorch_is_told(stopped, command):
    run, right = stopped
    last = run / "checkpoints/last.ckpt"
    content = torch.load(last, weights_only=True)
    content["resume"]["torch"] = "1.13.0"
    checkpoint_io.Sealed().save_checkpoint(content, last)
    outcome = command("resume", "run")
    assert "last.ckpt was written with torch 1.13.0, and this is" in outcome.out
    arrives(outcome, run, right)


@pytest.mark.slow
def test_a_finished_run_says_so_and_goes_on_if_it_is_to_be_longer(stopped, command):
    run, _ = stopped
    assert command("resume", "run").code == 0
    again = command("resume", "run")
    assert again.code == 0
    assert "is finished; to go on longer: trainer resume" in again.out
    assert command(*TINY[:-1], "trainer.max_epochs=5", "hydra.run.dir=long").code == 0
    arrives(command("resume", "run", "trainer.max_epochs=5"), run, weights(run.parent / "long"))
    assert (run / "metrics.csv").read_text() == (run.parent / "long/metrics.csv").read_text()
    assert len(json.loads((run / "provenance.json").read_text())["resumed"]) == 2


@pytest.mark.slow
def test_what_would_have_led_to_other_numbers_is_refused(stopped, command):
    run, right = stopped
    outcome = command("resume", "run", "optimizer.lr=0.5")
    assert outcome.code == 1
    assert "optimizer.lr: 0.001 there, 0.5 here" in outcome.err
    assert state_of(run) == "interrupted"
    assert "did you mean 'max_epochs'" in command("resume", "run", "trainer.max_epoch=9").err
    assert "only single values" in command("resume", "run", "model=cnn").err
    assert "no directory of a run" in command("resume", "nothing").err
    arrives(command("resume", "run"), run, right)


@pytest.mark.slow
def test_under_a_scheduler_the_same_command_begins_goes_on_and_is_done(command, tmp_path):
    (tmp_path / "users.py").write_text(USERS)
    assert command(*TINY, "hydra.run.dir=through").code == 0
    (tmp_path / "stop.txt").write_text("SIGTERM")
    words = [*TINY, *STOP, "resume=auto"]
    assert command(*words).code == 143
    outcome = command(*words)
    assert "resume last.ckpt, step 27, epoch 2" in outcome.out
    arrives(outcome, tmp_path / "run", weights(tmp_path / "through"))
    assert "is finished" in command(*words).out
    assert "optimizer.lr: 0.001 there, 0.5 here" in command(*words, "optimizer.lr=0.5").err
    sys.modules.pop("users", None)


def test_a_directory_that_may_not_be_written_to_is_told(stopped, command, monkeypatch):
    assert stopped
    monkeypatch.setattr(os, "access", lambda *_: False)  # as root the tests may write anywhere
    outcome = command("resume", "run")
    assert outcome.code == 1
    assert "cannot write to" in outcome.err


def test_a_killed_run_is_told_from_one_that_goes_on(tmp_path):
    assert state_of(tmp_path) == "killed"
    with FileLock(tmp_path / LOCK):
        assert state_of(tmp_path) == "running"
