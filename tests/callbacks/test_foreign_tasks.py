"""Callbacks with LightningModules and data that have nothing in common with those of this project."""

from types import SimpleNamespace

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from torch.optim import SGD
from torch.utils.data import DataLoader

from trainer.artifacts.loggers import ResilientTensorBoardLogger
from trainer.callbacks.gradient_norm import GradientNorm
from trainer.callbacks.lr_monitor import LRMonitor
from trainer.callbacks.unfreezing import Unfreezing
from trainer.config.schema import RESOURCE_DIR
from trainer.core.errors import UserError
from trainer.data.digits import Digits
from trainer.task.objective import make_objective

SPEC = Digits().spec
QUIET = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
DISPLAYS = [
    *("first_batch", "prediction_images", "classification_report", "worst_predictions", "embeddings"),
    *("regression_plot", "price_forecast", "samples", "attention_maps", "histograms", "throughput", "progress"),
    *("lr_monitor", "gradient_norm", "finite_loss", "fast_loop"),
]
BATCHES = {
    "dict": lambda rows: {"pixels": rows, "label": torch.zeros(len(rows)).long()},
    "tensor": lambda rows: rows,
    "object": lambda rows: SimpleNamespace(rows=rows, to=lambda *_: rows),
    "triple": lambda rows: (rows, rows, torch.zeros(len(rows)).long()),
    "pair of dicts": lambda rows: ({"pixels": rows}, {"label": rows}),
}


class Foreign(LightningModule):
    """A module without `net`, and usually without `objective`."""

    def __init__(self, objective=None):
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)
        if objective:
            self.objective = objective

    def training_step(self, batch, batch_idx):
        return self.layer(torch.ones(2, 64)).square().mean()

    def validation_step(self, batch, batch_idx):
        return self.layer(torch.ones(2, 64))

    def test_step(self, batch, batch_idx):
        return self.layer(torch.ones(2, 64))

    def configure_optimizers(self):
        return SGD(self.parameters(), 0.1)


class ForeignData(LightningDataModule):
    """Data without a checksum, and usually without `spec`."""

    def __init__(self, make_batch, spec):
        super().__init__()
        self.make_batch = make_batch
        if spec:
            self.spec = spec

    def train_dataloader(self):
        rows = [torch.ones(64), torch.zeros(64), torch.ones(64), torch.zeros(64)]
        return DataLoader(rows, batch_size=2, collate_fn=lambda examples: self.make_batch(torch.stack(examples)))

    val_dataloader = test_dataloader = train_dataloader


@pytest.mark.parametrize("kind", BATCHES)
@pytest.mark.parametrize(("objective", "spec"), [(None, None), (make_objective(SPEC), None), (None, SPEC)])
def test_display_callbacks_do_nothing_with_batches_that_they_do_not_know(kind, objective, spec, tmp_path):
    configs = [OmegaConf.load(RESOURCE_DIR / f"conf/callbacks/{name}.yaml")[name] for name in DISPLAYS]
    logger = ResilientTensorBoardLogger(tmp_path)
    settings = {"max_epochs": 1, "log_every_n_steps": 1, "accelerator": "cpu", "logger": logger}
    trainer = Trainer(callbacks=[*map(instantiate, configs)], **settings, enable_checkpointing=False)
    task = Foreign(objective)
    data = ForeignData(BATCHES[kind], spec)
    trainer.fit(task, data)
    trainer.test(task, data, verbose=False)
    assert trainer.global_step == 2
    if not spec:
        assert not any(callback.logged_metrics(data) for callback in trainer.callbacks if hasattr(callback, "check"))


def test_a_rate_of_parts_needs_the_optimizer_of_the_config():
    callback = Unfreezing(stages={1: ["layer"]}, lr_factor=0.5)
    trainer = Trainer(max_epochs=1, accelerator="cpu", callbacks=[callback], logger=False, **QUIET)
    with pytest.raises(UserError, match="lr_factor: Foreign configures its own optimizer"):
        trainer.fit(Foreign(), ForeignData(BATCHES["tensor"], None))


class TwoOptimizers(Foreign):
    """Manual optimization with two optimizers of one class."""

    def __init__(self, scheduled=False):
        super().__init__()
        self.automatic_optimization = False
        self.scheduled = scheduled

    def training_step(self, batch, batch_idx):
        for factor, optimizer in enumerate(self.optimizers(), start=1):
            optimizer.zero_grad()
            self.manual_backward(factor * self.layer.bias.sum())
            optimizer.step()

    def configure_optimizers(self):
        optimizers = [SGD(self.parameters(), 0.1), SGD(self.parameters(), 0.2)]
        return optimizers, [torch.optim.lr_scheduler.ConstantLR(item) for item in optimizers if self.scheduled]


@pytest.mark.parametrize("scheduled", [False, True])
def test_rates_and_gradients_of_two_optimizers_have_different_names(scheduled, tmp_path):
    logger = ResilientTensorBoardLogger(tmp_path)
    settings = {"max_steps": 2, "log_every_n_steps": 1, "accelerator": "cpu", "logger": logger}
    trainer = Trainer(callbacks=[LRMonitor(), GradientNorm()], **settings, **QUIET)
    trainer.fit(TwoOptimizers(scheduled), ForeignData(BATCHES["tensor"], None))
    values = {name: float(value) for name, value in trainer.callback_metrics.items()}
    factor = 1 / 3 if scheduled else 1  # of the schedule
    assert values == pytest.approx(
        {"lr-SGD": 0.1 * factor, "lr-SGD-1": 0.2 * factor, "grad_norm_SGD": 10**0.5, "grad_norm_SGD-1": 2 * 10**0.5}
    )


class LogsLoss(Foreign):
    """Manual optimization without `manual_backward`; its loss is NaN and has no effect on the weights."""

    def __init__(self, name):
        super().__init__()
        self.automatic_optimization = False
        self.name = name

    def training_step(self, batch, batch_idx):
        self.log(self.name, float("nan"))
        self.optimizers().step()


@pytest.mark.parametrize("name", ["g_loss", "train/loss_of_generator", "loss"])
def test_a_loss_of_any_name_that_is_not_finite_stops_a_manual_optimization(name):
    callback = instantiate(OmegaConf.load(RESOURCE_DIR / "conf/callbacks/finite_loss.yaml").finite_loss)
    trainer = Trainer(max_epochs=2, accelerator="cpu", callbacks=[callback], logger=False, **QUIET)
    with pytest.raises(UserError, match="the loss is nan at step 1: epoch 1, batch 1\n"):
        trainer.fit(LogsLoss(name), ForeignData(BATCHES["tensor"], None))


def test_a_validation_loss_that_is_not_finite_stops_no_manual_optimization():
    callback = instantiate(OmegaConf.load(RESOURCE_DIR / "conf/callbacks/finite_loss.yaml").finite_loss)
    trainer = Trainer(max_epochs=2, accelerator="cpu", callbacks=[callback], logger=False, **QUIET)
    trainer.fit(LogsLoss("val_loss"), ForeignData(BATCHES["tensor"], None))
