"""Metrics of scores and penalties in supervised training."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch.optim import SGD

from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.split import Split
from trainer.model.linear import Linear
from trainer.task.losses import Penalty
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised


class FiveNumbers(TensorData):
    """Five numbers of two classes; the larger ones are mostly of the second."""

    spec = DataSpec("five", "vector", (1,), "classification", output_size=1, class_names=("no", "yes"))

    def load(self):
        split = Split(torch.tensor([[-2.0], [-1.0], [1.0], [2.0], [-3.0]]), torch.tensor([0, 1, 0, 1, 0]))
        return {"train": split, "val": split, "test": split}


def train(lr, **settings):
    """Train one step from weight 1 and bias 0; return the logged metrics and the network."""
    data = FiveNumbers(batch_size=5, eval_batch_size=2)
    net = Linear(data.spec)
    torch.nn.init.ones_(net.layer.weight)
    torch.nn.init.zeros_(net.layer.bias)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", log_every_n_steps=1, **quiet)
    trainer.fit(Supervised(net, make_objective(data.spec, **settings), partial(SGD, lr=lr), constant), data)
    return {name: value.item() for name, value in trainer.callback_metrics.items()}, net


def test_each_metric_receives_its_arguments_over_all_batches():
    logged, _ = train(lr=0.0, metrics=["accuracy", "recall", "auroc"])
    # predicted 0 0 1 1 0, true 0 1 0 1 0; 5 of 6 pairs are in order: -1 > -2, -1 > -3, and all three of 2
    metrics = {name: value for name, value in logged.items() if name.startswith("val/") and name != "val/loss"}
    assert metrics == pytest.approx({"val/accuracy": 3 / 5, "val/recall": 1 / 2, "val/auroc": 5 / 6})


def test_metrics_may_be_empty():
    logged, _ = train(lr=0.0, metrics=[])
    assert set(logged) == {"train/loss", "val/loss"}


def test_a_penalty_changes_the_weights_but_not_the_logged_loss():
    plain, net = train(lr=0.1)
    with_penalty, other = train(lr=0.1, penalty=Penalty(l1=1.0, l2=0.5))
    assert plain["train/loss"] == with_penalty["train/loss"]
    # at weight 1 the gradients of |w| and 0.5 w^2 are 1 each, and the rate is 0.1
    assert other.layer.weight.item() == pytest.approx(net.layer.weight.item() - 0.2)
    assert other.layer.bias.item() == net.layer.bias.item()
