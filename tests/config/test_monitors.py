"""Tests of monitored metrics with derived, missing and contradicting modes."""

import csv
import json

import pytest
import torch

# classes for a run of four epochs with two rising metrics and metrics of unknown direction
PIECES = """
import torch
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import EarlyStopping
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics import Metric, MetricCollection
from trainer.task.objective import make_objective
from trainer.task.supervised import Supervised

class Rising(Callback):
    def on_validation_epoch_end(self, trainer, pl_module):
        pl_module.log("val/own_accuracy", 0.1 * (trainer.current_epoch + 1))
        pl_module.log("val/obj", 0.1 * (trainer.current_epoch + 1))

def stops():
    return EarlyStopping("val/accuracy", mode="min")

def falls(optimizer):
    return {"scheduler": ReduceLROnPlateau(optimizer, mode="min"), "monitor": "val/accuracy"}

class Own(Supervised):
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        return {"optimizer": optimizer, "lr_scheduler": ReduceLROnPlateau(optimizer, mode="max"), "monitor": "val/loss"}

class Energy(Metric):
    higher_is_better = True
    def __init__(self):
        super().__init__()
        self.add_state("calls", torch.tensor(0.0))
        self.epochs = 0
    def update(self, preds, target):
        self.calls += 1
    def compute(self):
        self.epochs += 1
        return torch.tensor(float(self.epochs))

def objective(spec, **settings):
    objective = make_objective(spec)
    objective.metrics = lambda: MetricCollection({"energy": Energy()})
    return objective
"""
RUN = [
    "data=xor",
    "trainer.max_epochs=4",
    "logger=csv",
    "test=false",
    "hydra.run.dir=r",
    "+callbacks.own._target_=pieces.Rising",
]
STOP = "+callbacks.stop._target_=pytorch_lightning.callbacks.EarlyStopping"
KEEP = "+callbacks.keep._target_=pytorch_lightning.callbacks.ModelCheckpoint"
PLATEAU = ["~scheduler.monitor", "scheduler._target_=torch.optim.lr_scheduler.ReduceLROnPlateau"]


@pytest.fixture
def run(command, tmp_path):
    """Return a function that runs with the classes of this file and returns the outcome and `result.json`."""
    (tmp_path / "pieces.py").write_text(PIECES)

    def execute(*overrides):
        outcome = command(*RUN, *overrides)
        file = tmp_path / "r/result.json"
        return outcome, json.loads(file.read_text()) if file.is_file() else {}

    return execute


def read_epoch(file):
    return torch.load(file, weights_only=False)["epoch"]


def test_a_checkpoint_by_accuracy_keeps_the_epoch_with_the_highest_value(run, tmp_path):
    outcome, result = run("callbacks=checkpoint", "callbacks.checkpoint.monitor=val/own_accuracy")
    assert outcome.code == 0, outcome.err
    assert result["metrics"]["val/own_accuracy_best"] == pytest.approx(0.4)
    assert read_epoch(tmp_path / "r/checkpoints/best.ckpt") == 4  # saved after the last of four epochs


def test_a_metric_set_by_the_model_needs_no_mode(run):
    outcome, result = run("callbacks=checkpoint", "+model.monitor=val/own_accuracy")
    assert outcome.code == 0, outcome.err
    assert result["metrics"]["val/own_accuracy_best"] == pytest.approx(0.4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ["callbacks=[checkpoint,early_stopping]", "callbacks.early_stopping.monitor=val/own_accuracy"],
        ["callbacks=checkpoint", STOP, "+callbacks.stop.monitor=val/own_accuracy"],
    ],
    ids=["ours", "of Lightning"],
)
def test_early_stopping_by_accuracy_continues_while_it_rises(overrides, run):
    name = "early_stopping" if "early_stopping" in overrides[0] else "stop"
    patience = f"{'' if name == 'early_stopping' else '+'}callbacks.{name}.patience=1"
    outcome, result = run(*overrides, patience)
    assert outcome.code == 0, outcome.err
    assert result["epochs"] == 4


def test_a_checkpoint_of_lightning_takes_the_direction_of_its_metric(run, tmp_path):
    overrides = [
        "+callbacks.keep.monitor=val/own_accuracy",
        "+callbacks.keep.dirpath=kept",
        "+callbacks.keep.filename=it",
    ]
    outcome, _ = run("callbacks=none", KEEP, *overrides)
    assert outcome.code == 0, outcome.err
    assert read_epoch(tmp_path / "kept/it.ckpt") == 3


@pytest.mark.slow
def test_a_plateau_scheduler_keeps_the_rate_while_accuracy_rises(run, tmp_path):
    overrides = ["scheduler=plateau", "scheduler.monitor=val/own_accuracy", "scheduler.patience=0"]
    outcome, _ = run("callbacks=[checkpoint,lr_monitor]", *overrides, "trainer.log_every_n_steps=1")
    assert outcome.code == 0, outcome.err
    rows = csv.DictReader((tmp_path / "r/metrics.csv").read_text().splitlines())
    assert len({row["lr"] for row in rows if row["lr"]}) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["callbacks=checkpoint", "callbacks.checkpoint.monitor=val/accuracy", "callbacks.checkpoint.mode=min"],
            "callbacks.checkpoint.mode: min contradicts 'val/accuracy', of which large values are good; "
            "expected max or auto  (command line: callbacks.checkpoint.mode=min)",
        ),
        (
            ["callbacks=[checkpoint,early_stopping]", "callbacks.early_stopping.mode=max"],
            "callbacks.early_stopping.mode: max contradicts 'val/loss', of which small values are good; expected min",
        ),
        (["callbacks=none", "scheduler=plateau", "scheduler.mode=max"], "scheduler.mode: max contradicts 'val/loss'"),
        (
            ["callbacks=none", "scheduler=plateau", *PLATEAU, "scheduler.mode=max"],
            "scheduler.mode: max contradicts 'val/loss'",
        ),
        (
            ["callbacks=none", STOP, "+callbacks.stop.monitor=val/accuracy", "+callbacks.stop.mode=min"],
            "callbacks.stop.mode: min contradicts 'val/accuracy'",
        ),
        (
            ["callbacks=none", KEEP, "+callbacks.keep.monitor=val/loss", "+callbacks.keep.mode=max"],
            "callbacks.keep.mode: max contradicts 'val/loss'",
        ),
        (["callbacks=none", "+callbacks.stop._target_=pieces.stops"], "callbacks.stop: min contradicts 'val/accuracy'"),
        (
            ["callbacks=none", "scheduler._target_=pieces.falls"],
            "scheduler: min contradicts 'val/accuracy', of which large values are good",
        ),
        (["callbacks=none", "model._target_=pieces.Own"], "model: max contradicts 'val/loss'"),
        (
            ["callbacks=checkpoint", "callbacks.checkpoint.monitor=val/obj"],
            "callbacks.checkpoint.mode: it is unknown whether small or large values of 'val/obj' are good; "
            "expected min or max",
        ),
        (["callbacks=none", STOP, "+callbacks.stop.monitor=val/obj"], "callbacks.stop.mode: it is unknown whether"),
        (
            ["callbacks=none", "scheduler=plateau", "scheduler.monitor=val/obj"],
            "scheduler.mode: it is unknown whether small or large values of 'val/obj' are good",
        ),
        (
            ["callbacks=checkpoint", "callbacks.checkpoint.mode=highest"],
            "callbacks.checkpoint.mode: 'highest' is not a mode; expected auto, min or max",
        ),
    ],
)
def test_a_contradicting_or_missing_mode_is_rejected_before_training(overrides, message, run):
    outcome, result = run(*overrides)
    assert outcome.code == 1
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert "epochs" not in result


def test_a_metric_of_unknown_direction_can_be_monitored_with_an_explicit_mode(run):
    overrides = ["callbacks.checkpoint.monitor=val/obj", "callbacks.checkpoint.mode=max"]
    outcome, result = run("callbacks=checkpoint", *overrides)
    assert outcome.code == 0, outcome.err
    assert result["metrics"]["val/obj_best"] == pytest.approx(0.4)


def test_a_metric_of_the_objective_states_its_direction_itself(run):
    overrides = ["objective._target_=pieces.objective", "callbacks.checkpoint.monitor=val/energy"]
    outcome, result = run("callbacks=checkpoint", *overrides)
    assert outcome.code == 0, outcome.err
    assert result["metrics"]["val/energy_best"] == result["metrics"]["val/energy"] >= 4
    refused, _ = run("callbacks=checkpoint", *overrides, "callbacks.checkpoint.mode=min", "hydra.run.dir=other")
    assert "callbacks.checkpoint.mode: min contradicts 'val/energy', of which large values are good" in refused.err
