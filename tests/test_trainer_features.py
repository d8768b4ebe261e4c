"""Lightning's callbacks, profilers and trainer settings, each in one short run with the default callbacks."""

import csv
import json
from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import BackboneFinetuning
from torch import nn
from torch.optim import Adam

from trainer.callbacks.checkpoint import Checkpoint
from trainer.callbacks.fast_loop import FastLoop
from trainer.callbacks.finite_loss import finite_loss
from trainer.data.digits import Digits
from trainer.task.supervised import Supervised

RUN = ("data=digits", "model=mlp", "logger=csv", "trainer.max_epochs=2", "+trainer.limit_train_batches=4")
RUN += ("trainer.log_every_n_steps=1", "hydra.run.dir=run")
IGNORED_WARNINGS = ("ignore:SWA is currently only supported every epoch", "ignore:Swapping scheduler")


def add(name, **settings):
    """Return overrides that add a callback of Lightning."""
    target = f"+callbacks.feature._target_=pytorch_lightning.callbacks.{name}"
    return (target, *(f"+callbacks.feature.{key}={value}" for key, value in settings.items()))


RATE_FINDER = add("LearningRateFinder", num_training_steps=20)
SIZE_FINDER = add("BatchSizeFinder", max_trials=2, steps_per_trial=1)
SWA = (*add("StochasticWeightAveraging", swa_lrs=0.01, swa_epoch_start=1), "~callbacks.checkpoint")
PRUNING = add("ModelPruning", pruning_fn="l1_unstructured", amount=0.5)
FEATURES = {
    "LearningRateFinder": RATE_FINDER,
    "RichModelSummary": (*add("RichModelSummary"), "trainer.enable_model_summary=true"),
    "StochasticWeightAveraging": SWA,
    "WeightAveraging": add("WeightAveraging"),
    "ModelPruning": PRUNING,
    "second ModelCheckpoint": add("ModelCheckpoint", dirpath="second", monitor="train/loss", filename="x"),
    "advanced profiler": ("+trainer.profiler=advanced",),
    "accumulate_grad_batches": ("trainer.accumulate_grad_batches=2",),
}
FINDERS = ("LearningRateFinder", "BatchSizeFinder")
SLOW_FEATURES = {
    "SpikeDetection": add("SpikeDetection"),
    "LambdaCallback": add("LambdaCallback", on_train_start="{_target_:builtins.print,_partial_:true}"),
    "DeviceStatsMonitor": add("DeviceStatsMonitor", cpu_stats="false"),
    "Timer": add("Timer", duration="{hours:1}"),
    "EMAWeightAveraging": add("EMAWeightAveraging"),
    "simple profiler": ("+trainer.profiler=simple",),
    "reload_dataloaders_every_n_epochs": ("+trainer.reload_dataloaders_every_n_epochs=1",),
    "val_check_interval": ("+trainer.val_check_interval=2",),
    "GradientAccumulationScheduler": add("GradientAccumulationScheduler", scheduling="{1:2}"),
    "BatchSizeFinder": SIZE_FINDER,
    "ddp": ("trainer=ddp_sim",),
    "ddp_find_unused_parameters": ("trainer=ddp_sim", "trainer.strategy=ddp_find_unused_parameters_true"),
}


@pytest.fixture
def rate(monkeypatch):
    """Give the module the attribute that `LearningRateFinder` sets."""
    monkeypatch.setattr(Supervised, "lr", 0.1, raising=False)


def read_run(name="run"):
    """Return the metrics and the rows of the CSV file of a run."""
    result = json.loads(Path(name, "result.json").read_text())
    assert result["state"] == "finished"
    assert {"train/loss", "val/loss", "test/loss"} <= result["metrics"].keys()
    with Path(name, "metrics.csv").open() as file:
        return result["metrics"], [*csv.DictReader(file)]


@pytest.mark.slow
@pytest.mark.usefixtures("rate")
@pytest.mark.filterwarnings(*IGNORED_WARNINGS)
@pytest.mark.parametrize("overrides", FEATURES.values(), ids=FEATURES)
def test_a_run_finishes_with_metrics_and_a_checkpoint(overrides, command):
    outcome = command(*RUN, *overrides)
    assert outcome.code == 0, outcome.err
    assert "inactive" not in outcome.err
    read_run()
    if "~callbacks.checkpoint" not in overrides:
        assert torch.load("run/checkpoints/best.ckpt", weights_only=True)["state_dict"]


@pytest.mark.slow
@pytest.mark.parametrize("overrides", SLOW_FEATURES.values(), ids=SLOW_FEATURES)
def test_a_long_run_finishes_with_metrics(overrides, command):
    outcome = command(*RUN, *overrides)
    assert outcome.code == 0, outcome.err
    read_run()


@pytest.mark.slow
@pytest.mark.usefixtures("rate")
@pytest.mark.filterwarnings(*IGNORED_WARNINGS)
@pytest.mark.parametrize("overrides", [RATE_FINDER, SIZE_FINDER, SWA, PRUNING], ids=lambda overrides: overrides[0])
def test_the_fast_loop_changes_no_result(overrides, command):
    for name, more in {"fast": (), "lightning": ("~callbacks.fast_loop",)}.items():
        outcome = command(*RUN, *overrides, *more, f"hydra.run.dir={name}")
        assert outcome.code == 0, outcome.err
    assert read_run("fast") == read_run("lightning")


@pytest.mark.usefixtures("rate")
def test_the_rate_of_the_finder_is_used_and_its_steps_are_not_logged(command):
    outcome = command(*RUN, *RATE_FINDER)
    assert outcome.code == 0, outcome.err
    rows = [row for row in read_run()[1] if row["lr"]]
    assert [row["step"] for row in rows] == [str(step) for step in range(8)]
    assert {row["lr"] for row in rows}.isdisjoint({"", "0.001"})


@pytest.mark.slow
def test_a_run_with_spike_detection_can_be_tested_and_resumed(command):
    assert command(*RUN, *SLOW_FEATURES["SpikeDetection"]).code == 0
    assert command("test", "run").code == 0
    assert command("resume", "run", "trainer.max_epochs=3").code == 0


@pytest.mark.usefixtures("rate")
@pytest.mark.parametrize("name", ["ModelPruning", *(pytest.param(name, marks=pytest.mark.slow) for name in FINDERS)])
def test_one_warning_names_a_callback_that_does_not_resume_exactly(name, command):
    assert command(*RUN, *{**FEATURES, **SLOW_FEATURES}[name]).code == 0
    outcome = command("resume", "run", "trainer.max_epochs=3")
    assert outcome.code == 0, outcome.err
    [line] = [line for line in (outcome.out + outcome.err).splitlines() if "not resume exactly" in line]
    assert line.startswith(f"warning: {name} does not resume exactly: ")


class Backbone(LightningModule):
    """A network of two parts, of which the first one is trained later."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(64, 8))
        self.head = nn.Linear(8, 10)

    def training_step(self, batch, batch_idx):
        inputs, targets = batch
        loss = nn.functional.cross_entropy(self.head(self.backbone(inputs)), targets)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return Adam([weight for weight in self.parameters() if weight.requires_grad], 0.01)


@pytest.mark.filterwarnings("ignore:The dirpath has changed from")
def test_the_backbone_is_trained_from_the_given_epoch_and_after_resuming(tmp_path):
    def train(epochs, directory, checkpoint=None):
        torch.manual_seed(0)
        task = Backbone()
        finetuning = BackboneFinetuning(unfreeze_backbone_at_epoch=1, backbone_initial_lr=0.01, verbose=False)
        callbacks = [FastLoop(), finite_loss(), Checkpoint(dirpath=tmp_path / directory, save_last=True), finetuning]
        settings = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
        trainer = Trainer(max_epochs=epochs, accelerator="cpu", callbacks=callbacks, limit_train_batches=2, **settings)
        initial = task.backbone[1].weight.detach().clone()
        trainer.fit(task, Digits(), ckpt_path=checkpoint)
        return task, not torch.equal(task.backbone[1].weight, initial)

    assert not train(1, "first")[1]
    resumed, is_trained = train(2, "second", tmp_path / "first/last.ckpt")
    uninterrupted, _ = train(2, "uninterrupted")
    assert is_trained
    assert all(torch.equal(*pair) for pair in zip(resumed.parameters(), uninterrupted.parameters(), strict=True))
