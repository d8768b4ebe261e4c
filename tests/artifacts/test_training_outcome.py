"""Why a training ended early, and metrics that could not be compared: told in the terminal and in result.json."""

import json

import pytest

TINY = ("data=digits", "model=linear", "logger=none", "hydra.run.dir=run")
STOP = ("callbacks=[default,early_stopping]", "callbacks.early_stopping.min_delta=9")  # more than any epoch improves
USERS = '''
from pytorch_lightning import Callback

from trainer.task.supervised import Supervised


class Enough(Callback):
    def on_train_epoch_end(self, trainer, task):
        trainer.should_stop = trainer.current_epoch == 1


class NanLater(Supervised):
    """Logs a metric that has no value from the second epoch on."""

    @property
    def logged(self):
        return [*super().logged, "val/own"]

    def on_validation_epoch_end(self):
        super().on_validation_epoch_end()
        self.log("val/own", 1.0 if self.current_epoch < 1 else float("nan"))
'''


def ended(command, tmp_path, *words):
    (tmp_path / "users.py").write_text(USERS)
    done = command(*TINY, *words)
    assert done.code == 0, done.err
    return json.loads((tmp_path / "run/result.json").read_text()), done.out


@pytest.mark.parametrize(
    ("words", "epochs", "reason"),
    [
        (
            [*STOP, "callbacks.early_stopping.patience=2", "optimizer.lr=0.0"],
            3,
            "stopped early at epoch 3: val/loss did not improve for 2 epochs (best: ",
        ),
        (
            [*STOP, "+callbacks.early_stopping.stopping_threshold=9"],
            1,
            "stopped early at epoch 1: Stopping threshold reached: val/loss = ",
        ),
        (
            [
                *STOP[:1],
                "callbacks.early_stopping.monitor=val/own",
                "callbacks.early_stopping.mode=max",
                "model.task._target_=users.NanLater",
            ],
            2,
            "stopped early at epoch 2: val/own is not finite",
        ),
        (
            ["+callbacks.enough._target_=users.Enough", "+trainer.min_epochs=0"],
            2,
            "stopped early at epoch 2: trainer.should_stop was set",
        ),
        (["+trainer.limit_train_batches=0"], 0, "not trained: there are no training batches"),
    ],
)
def test_a_training_that_ends_early_says_why(words, epochs, reason, command, tmp_path):
    result, out = ended(command, tmp_path, *words, "trainer.max_epochs=4")
    assert result["epochs"] == epochs
    assert result["stop_reason"].startswith(reason)
    assert result["stop_reason"] in out


def test_a_training_that_is_as_long_as_it_was_to_be_has_no_reason(command, tmp_path):
    result, out = ended(command, tmp_path, *STOP, "trainer.max_epochs=2")
    assert result["stop_reason"] is None
    assert result["not_finite_epochs"] == {}
    assert "stopped early" not in out


@pytest.mark.parametrize(
    ("words", "who"),
    [
        (["callbacks.checkpoint.monitor=val/own", "callbacks.checkpoint.mode=max"], "Checkpoint"),
        (["scheduler=plateau", "scheduler.monitor=val/own", "scheduler.mode=max"], "the scheduler"),
    ],
)
def test_a_monitored_metric_that_is_not_finite_is_told_at_once_and_counted(words, who, command, tmp_path):
    own = ("model.task._target_=users.NanLater", "trainer.max_epochs=3")
    result, out = ended(command, tmp_path, *own, *words)
    assert f"val/own is nan at epoch 2: {who} cannot compare it\n" in out
    assert "val/own was not finite in 2 epoch(s)\n" in out
    assert result["not_finite_epochs"] == {"val/own": 2}
    assert result["stop_reason"] is None


def test_the_count_goes_on_in_a_run_that_is_resumed(command, tmp_path):
    words = (
        "model.task._target_=users.NanLater",
        "callbacks.checkpoint.monitor=val/own",
        "callbacks.checkpoint.mode=max",
        "trainer.max_epochs=2",
    )
    ended(command, tmp_path, *words)
    assert command("resume", "run", "trainer.max_epochs=4", "trust=users").code == 0
    assert json.loads((tmp_path / "run/result.json").read_text())["not_finite_epochs"] == {"val/own": 3}
