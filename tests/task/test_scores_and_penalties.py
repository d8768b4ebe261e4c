"""Supervised with metrics of scores and with penalties: what reaches the metrics, the log and the weights."""

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
from trainer.task.objective import objective_for
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised


class FiveNumbers(TensorData):
    """Five numbers of two classes; the greater ones are mostly of the second."""

    spec = DataSpec("five", "vector", (1,), "classes", output_size=1, class_names=("no", "yes"))

    def load(self):
        five = Split(torch.tensor([[-2.0], [-1.0], [1.0], [2.0], [-3.0]]), torch.tensor([0, 1, 0, 1, 0]))
        return {"train": five, "val": five, "test": five}


def trained(lr, **asked):
    """One step from weight 1 and bias 0; returns what was logged and the network."""
    data = FiveNumbers(batch_size=5, eval_batch_size=2)
    net = Linear(data.spec)
    torch.nn.init.ones_(net.layer.weight)
    torch.nn.init.zeros_(net.layer.bias)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", log_every_n_steps=1, **quiet)
    trainer.fit(Supervised(net, objective_for(data.spec, **asked), partial(SGD, lr=lr), constant), data)
    return {name: value.item() for name, value in trainer.callback_metrics.items()}, net


def test_each_metric_is_given_what_it_takes_over_all_batches():
    logged, _ = trained(lr=0.0, metrics=["accuracy", "recall", "auroc"])
    # said 0 0 1 1 0, true 0 1 0 1 0; of the pairs (1, 0), -1 > -2, -1 > -3 and all three of 2 are in order
    measured = {name: value for name, value in logged.items() if name.startswith("val/") and name != "val/loss"}
    assert measured == pytest.approx({"val/accuracy": 3 / 5, "val/recall": 1 / 2, "val/auroc": 5 / 6})


def test_no_metrics_are_none():
    logged, _ = trained(lr=0.0, metrics=[])
    assert set(logged) == {"train/loss", "val/loss"}


def test_a_penalty_moves_the_weights_and_not_the_loss_that_is_shown():
    plain, net = trained(lr=0.1)
    with_penalty, other = trained(lr=0.1, penalty=Penalty(l1=1.0, l2=0.5))
    assert plain["train/loss"] == with_penalty["train/loss"]
    # at weight 1 the gradients of |w| and 0.5 w^2 are 1 each, and the rate is 0.1
    assert other.layer.weight.item() == pytest.approx(net.layer.weight.item() - 0.2)
    assert other.layer.bias.item() == net.layer.bias.item()
