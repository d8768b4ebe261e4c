"""Unusual but valid code of the user, as in public projects."""

import json

import pytest

MINE = """
import copy
import os
from pathlib import Path

import torch
from lightning import LightningDataModule, LightningModule
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset


def make_loader(*args, **kwargs):
    return DataLoader(TensorDataset(torch.arange(32.0).reshape(16, 2) / 32, torch.ones(16, 1)), batch_size=4)


class Data(LightningDataModule):
    train_dataloader = val_dataloader = test_dataloader = make_loader


class Base(LightningModule):
    def __init__(self, lr: float = 0.1):
        super().__init__()
        self.lr = lr
        self.layer = nn.Linear(2, 1)

    def forward(self, inputs):
        return self.layer(inputs)

    def training_step(self, batch, batch_idx):
        return mse_loss(self(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", mse_loss(self(batch[0]), batch[1]))

    def test_step(self, batch, batch_idx):
        self.log("test_loss", mse_loss(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class NetInHyperparameters(Base):
    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net
        self.average = copy.deepcopy(net)
        self.save_hyperparameters(logger=False)

    def forward(self, inputs):
        return self.hparams.net(inputs)


class FilesNextToTheLog(Base):
    def on_train_epoch_end(self):
        assert isinstance(self.logger, TensorBoardLogger)
        Path(self.trainer.log_dir, "epoch.txt").touch()
        os.makedirs(os.path.join(self.logger.log_dir, "images"), exist_ok=True)


class ImageOfAnotherTracker(Base):
    def on_train_epoch_end(self):
        self.logger.log_image(key="image", images=[torch.zeros(3, 2, 2)])


class PrintsAtTheEnd(Base):
    def on_train_end(self):
        self.print("saved:", self.trainer.checkpoint_callback.best_model_path)


class OwnLoaders(Base):
    train_dataloader = make_loader

    def forward(self, inputs):
        return self.layer(inputs.expand(-1, 2))
"""
NET = "+model.net={_target_: torch.nn.Linear, in_features: 2, out_features: 1}"


@pytest.fixture
def train(tmp_path, command):
    """Train a class of the user for two epochs in the directory run."""
    (tmp_path / "mine.py").write_text(MINE)

    def run(name, *overrides):
        targets = [f"model._target_=mine.{name}", "data._target_=mine.Data"]
        options = ["trainer.max_epochs=2", "trainer.log_every_n_steps=1", "hydra.run.dir=run"]
        return command("data=custom", "model=custom", *targets, *options, *overrides)

    return run


def read_metrics(directory):
    return json.loads((directory / "run/result.json").read_text())["metrics"]


def test_a_network_can_be_copied_and_be_a_hyperparameter(train, tmp_path):
    outcome = train("NetInHyperparameters", NET)
    assert outcome.code == 0, outcome.err
    assert "test_loss" in read_metrics(tmp_path)


def test_a_module_writes_files_next_to_the_log(train, tmp_path):
    outcome = train("FilesNextToTheLog")
    assert outcome.code == 0, outcome.err
    assert {file.name for file in (tmp_path / "run/tensorboard").iterdir()} >= {"epoch.txt", "images"}


def test_a_method_of_another_logger_is_an_error_before_the_run(train):
    outcome = train("ImageOfAnotherTracker")
    assert outcome.code == 1
    problem = "model: AttributeError: 'ResilientTensorBoardLogger' object has no attribute 'log_image'"
    assert outcome.err.startswith(f"error: {problem}, in on_train_epoch_end; ")


def test_a_module_prints_the_path_of_its_checkpoint(train, tmp_path):
    outcome = train("PrintsAtTheEnd")
    assert outcome.code == 0, outcome.err
    assert f"saved: {tmp_path / 'run/checkpoints/best.ckpt'}\n" in outcome.out


def test_without_a_checkpoint_callback_that_is_an_error_before_the_run(train):
    outcome = train("PrintsAtTheEnd", "callbacks=none")
    assert outcome.code == 1
    assert outcome.err.startswith("error: model: AttributeError: 'NoneType' object has no attribute 'best_model_path'")


def test_a_forward_without_targets_needs_a_predict_step(train, command):
    assert train("Base").code == 0
    outcome = command("predict", "run")
    assert outcome.code == 1
    assert outcome.err.startswith(
        "error: predict: Base has no predict_step, and its forward does not accept a batch: linear(): argument 'input'"
    )
    assert "\n  add a method predict_step(self, batch) that returns outputs" in outcome.err
    assert "Traceback" not in outcome.err


def test_loaders_of_a_module_are_not_silently_replaced(tmp_path, command):
    (tmp_path / "mine.py").write_text(MINE)
    outcome = command("check", "data=line", "model=custom", "model._target_=mine.OwnLoaders", "--json")
    report = json.loads(outcome.out)
    assert report["ok"]
    [warning] = report["diagnostics"]
    problem = "its train_dataloader is not used: the examples are those of trainer.data.line.Line"
    assert (warning["key"], warning["problem"]) == ("model", problem)


def test_jobs_that_are_not_tried_have_a_warning(monkeypatch, command):
    from trainer.training.preflight import dry_run_cache, trial_step

    dry_run_cache.dry_run_results.clear()
    monkeypatch.setattr(trial_step, "_trial_seconds", trial_step.MAX_TRIAL_SECONDS + 1)
    boring = "pytorch_lightning.demos.boring_classes"
    data = f"data.train={{_target_: {boring}.RandomDataset, size: 32, length: 4}}"
    outcome = command("check", "model=custom", f"model._target_={boring}.BoringModel", "data=datasets", data, "--json")
    warnings = {item["key"]: item["problem"] for item in json.loads(outcome.out)["diagnostics"]}
    assert warnings["preflight.step"] == "no step was tried, because those of other jobs took 30 s"
