"""The reason of an early stop and nonfinite metrics are printed and written to result.json."""

import json
from types import SimpleNamespace

import pytest

from trainer.artifacts.training_outcome import find_monitored_metrics

TINY = ("data=digits", "model=linear", "logger=none", "hydra.run.dir=run")
STOP = ("callbacks=[default,early_stopping]", "callbacks.early_stopping.min_delta=9")  # more than any epoch improves
USERS = '''
from pytorch_lightning import Callback

from trainer.task.supervised import Supervised


class Enough(Callback):
    def on_train_epoch_end(self, trainer, task):
        trainer.should_stop = trainer.current_epoch == 1


class NanLater(Supervised):
    """Task that logs nan as a metric from the second epoch."""

    @property
    def logged_metrics(self):
        return [*super().logged_metrics, "val/custom"]

    def on_validation_epoch_end(self):
        super().on_validation_epoch_end()
        self.log("val/custom", 1.0 if self.current_epoch < 1 else float("nan"))
'''


def test_callbacks_of_users_may_have_an_attribute_monitor_of_another_type():
    callbacks = [SimpleNamespace(monitor=value) for value in ("val/loss", None, ["val/loss"], {"val/loss": "min"})]
    schedules = [SimpleNamespace(reduce_on_plateau=on, monitor="val/loss") for on in (True, False)]
    trainer = SimpleNamespace(callbacks=callbacks, lr_scheduler_configs=schedules)
    assert find_monitored_metrics(trainer) == {"val/loss": "SimpleNamespace and the scheduler"}


def run(command, tmp_path, *overrides):
    (tmp_path / "users.py").write_text(USERS)
    done = command(*TINY, *overrides)
    assert done.code == 0, done.err
    return json.loads((tmp_path / "run/result.json").read_text()), done.out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "epochs", "reason"),
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
                "callbacks.early_stopping.monitor=val/custom",
                "callbacks.early_stopping.mode=max",
                "model._target_=users.NanLater",
            ],
            2,
            "stopped early at epoch 2: val/custom is not finite",
        ),
        (
            ["+callbacks.enough._target_=users.Enough", "+trainer.min_epochs=0"],
            2,
            "stopped early at epoch 2: trainer.should_stop was set",
        ),
        (["+trainer.limit_train_batches=0"], 0, "not trained: there are no training batches"),
    ],
)
def test_an_early_stop_has_a_reason(overrides, epochs, reason, command, tmp_path):
    result, out = run(command, tmp_path, *overrides, "trainer.max_epochs=4")
    assert result["epochs"] == epochs
    assert result["stop_reason"].startswith(reason)
    assert result["stop_reason"] in out


def test_a_complete_training_has_no_stop_reason(command, tmp_path):
    result, out = run(command, tmp_path, *STOP, "trainer.max_epochs=2")
    assert result["stop_reason"] is None
    assert result["not_finite_epochs"] == {}
    assert "stopped early" not in out


@pytest.mark.parametrize(
    ("overrides", "user"),
    [
        (["callbacks.checkpoint.monitor=val/custom", "callbacks.checkpoint.mode=max"], "Checkpoint"),
        (["scheduler=plateau", "scheduler.monitor=val/custom", "scheduler.mode=max"], "the scheduler"),
    ],
)
def test_a_nonfinite_monitored_metric_is_reported_and_counted(overrides, user, command, tmp_path):
    task = ("model._target_=users.NanLater", "trainer.max_epochs=3")
    result, out = run(command, tmp_path, *task, *overrides)
    assert f"val/custom is nan at epoch 2: {user} cannot compare it\n" in out
    assert "val/custom was not finite in 2 epoch(s)\n" in out
    assert result["not_finite_epochs"] == {"val/custom": 2}
    assert result["stop_reason"] is None


def test_the_count_continues_in_a_resumed_run(command, tmp_path):
    overrides = (
        "model._target_=users.NanLater",
        "callbacks.checkpoint.monitor=val/custom",
        "callbacks.checkpoint.mode=max",
        "trainer.max_epochs=2",
    )
    run(command, tmp_path, *overrides)
    assert command("resume", "run", "trainer.max_epochs=4", "--trust=users").code == 0
    assert json.loads((tmp_path / "run/result.json").read_text())["not_finite_epochs"] == {"val/custom": 3}
