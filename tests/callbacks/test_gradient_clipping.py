"""Gradient clipping and the norm that is logged."""

from functools import partial
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim import SGD

from trainer.callbacks.gradient_clipping import GradientClipping
from trainer.core.errors import UserError
from trainer.data.line import Line
from trainer.model.linear import Linear
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised

PLAIN = SimpleNamespace(precision_plugin=None)  # a trainer without a gradient scaler


class Log:
    """Fake task with one optimizer that stores logged values."""

    trainer = SimpleNamespace(optimizers=[None])

    def __init__(self):
        self.logged = {}

    def log(self, name, value):
        self.logged[name] = float(value)


def clip(gradients, **settings):
    """Return the gradients of two parameters (and one without gradient) after clipping, and the logged values."""
    parameters = [torch.nn.Parameter(torch.zeros(len(gradient))) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    unused = torch.nn.Parameter(torch.zeros(1))
    optimizer, log = SGD([{"params": [p]} for p in [*parameters, unused]], lr=1.0), Log()
    GradientClipping(**settings).on_before_optimizer_step(PLAIN, log, optimizer)
    assert unused.grad is None
    return [pytest.approx(p.grad.tolist(), abs=1e-5) for p in parameters], log.logged


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"algorithm": "norm", "value": 1.0}, [[0.6], [0.0, -0.8]]),  # norm 5, so a fifth of each
        ({"algorithm": "norm", "value": 2.5}, [[1.5], [0.0, -2.0]]),
        ({"algorithm": "norm", "value": 5.1}, [[3.0], [0.0, -4.0]]),
        ({"algorithm": "value", "value": 3.5}, [[3.0], [0.0, -3.5]]),
        ({"algorithm": "value", "value": 1.0}, [[1.0], [0.0, -1.0]]),
        ({}, [[0.6], [0.0, -0.8]]),
    ],
)
def test_gradients_are_clipped_and_the_norm_before_clipping_is_logged(settings, expected):
    gradients, logged = clip([[3.0], [0.0, -4.0]], **settings)
    assert gradients == expected
    assert logged == {"train/grad_norm": pytest.approx(5.0)}


def test_the_norm_is_logged_with_the_name_of_the_network_if_there_are_several():
    class Two(Log):
        def get_optimizer_name(self, optimizer):
            return "generator"

    parameter, log = torch.nn.Parameter(torch.zeros(1)), Two()
    parameter.grad = torch.tensor([3.0])
    GradientClipping().on_before_optimizer_step(PLAIN, log, SGD([parameter], lr=1.0))
    assert log.logged == {"train/grad_norm_generator": 3.0}


@pytest.mark.parametrize("value", [0, -1.0])
def test_a_value_that_is_not_positive_is_rejected(value):
    with pytest.raises(UserError, match=rf"^callbacks\.gradient_clipping\.value: {value} is not greater than 0$"):
        GradientClipping(value=value)


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_a_training_step_changes_the_weights_by_at_most_the_limit(algorithm):
    data = Line(points=8, slope=1000, val_fraction=0, batch_size=8)
    net = Linear(data.spec)
    before = torch.cat([p.detach().flatten().clone() for p in net.parameters()])
    task = Supervised(net, make_objective(data.spec), partial(SGD, lr=0.5), constant)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        callbacks=[GradientClipping(algorithm=algorithm, value=0.2)],
        log_every_n_steps=1,
        **quiet,
    )
    trainer.fit(task, data)
    change = torch.cat([p.detach().flatten() for p in net.parameters()]) - before
    size = change.norm() if algorithm == "norm" else change.abs().max()
    assert size.item() == pytest.approx(0.1, rel=1e-4)
    assert trainer.callback_metrics["train/grad_norm"] > 100


def test_fused_optimizers_that_unscale_gradients_are_rejected():
    weights = nn.Parameter(torch.ones(2))
    fused, plain = (torch.optim.Adam([weights], fused=fused) for fused in (True, False))
    scaling = SimpleNamespace(scaler="one")
    with pytest.raises(UserError, match=r"16-mixed set optimizer\.fused=false$"):
        GradientClipping().on_train_start(SimpleNamespace(precision_plugin=scaling, optimizers=[plain, fused]), None)
    GradientClipping().on_train_start(SimpleNamespace(precision_plugin=scaling, optimizers=[plain]), None)
    GradientClipping().on_train_start(SimpleNamespace(precision_plugin=None, optimizers=[fused]), None)
