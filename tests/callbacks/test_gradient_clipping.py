"""Gradient clipping: the bound, what lies within it, and the norm that is logged."""

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
from trainer.task.objective import objective_for
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised

PLAIN = SimpleNamespace(precision_plugin=None)  # a trainer that scales nothing


class Log:
    """Stands for the task: keeps what is logged."""

    def __init__(self):
        self.logged = {}

    def log(self, name, value):
        self.logged[name] = float(value)


def clipped(gradients, **settings):
    """Gradients of two parameters (and of one that has none) after clipping, and what was logged."""
    parameters = [torch.nn.Parameter(torch.zeros(len(gradient))) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    idle = torch.nn.Parameter(torch.zeros(1))
    optimizer, log = SGD([{"params": [p]} for p in [*parameters, idle]], lr=1.0), Log()
    GradientClipping(**settings).on_before_optimizer_step(PLAIN, log, optimizer)
    assert idle.grad is None
    return [pytest.approx(p.grad.tolist(), abs=1e-5) for p in parameters], log.logged


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"by": "norm", "limit": 1.0}, [[0.6], [0.0, -0.8]]),  # of norm 5, so a fifth of each
        ({"by": "norm", "limit": 2.5}, [[1.5], [0.0, -2.0]]),
        ({"by": "norm", "limit": 5.1}, [[3.0], [0.0, -4.0]]),
        ({"by": "value", "limit": 3.5}, [[3.0], [0.0, -3.5]]),
        ({"by": "value", "limit": 1.0}, [[1.0], [0.0, -1.0]]),
        ({}, [[0.6], [0.0, -0.8]]),
    ],
)
def test_gradients_are_bounded_and_the_norm_before_that_is_logged(settings, expected):
    gradients, logged = clipped([[3.0], [0.0, -4.0]], **settings)
    assert gradients == expected
    assert logged == {"train/grad_norm": pytest.approx(5.0)}


def test_the_norm_is_logged_by_the_name_of_the_network_where_there_are_several():
    class Two(Log):
        def name_of(self, optimizer):
            return "generator"

    parameter, log = torch.nn.Parameter(torch.zeros(1)), Two()
    parameter.grad = torch.tensor([3.0])
    GradientClipping().on_before_optimizer_step(PLAIN, log, SGD([parameter], lr=1.0))
    assert log.logged == {"train/grad_norm_generator": 3.0}


@pytest.mark.parametrize("limit", [0, -1.0])
def test_a_limit_that_is_not_greater_than_zero_is_refused(limit):
    with pytest.raises(UserError, match=rf"^callbacks\.gradient_clipping\.limit: {limit} is not greater than 0$"):
        GradientClipping(limit=limit)


@pytest.mark.parametrize("by", ["norm", "value"])
def test_a_training_step_moves_the_weights_no_further_than_the_limit_allows(by):
    data = Line(points=8, slope=1000, val_share=0, batch_size=8)
    net = Linear(data.spec)
    before = torch.cat([p.detach().flatten().clone() for p in net.parameters()])
    task = Supervised(net, objective_for(data.spec), partial(SGD, lr=0.5), constant)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", callbacks=[GradientClipping(by=by, limit=0.2)], log_every_n_steps=1, **quiet
    )
    trainer.fit(task, data)
    moved = torch.cat([p.detach().flatten() for p in net.parameters()]) - before
    size = moved.norm() if by == "norm" else moved.abs().max()
    assert size.item() == pytest.approx(0.1, rel=1e-4)
    assert trainer.callback_metrics["train/grad_norm"] > 100


def test_gradients_that_a_fused_optimizer_will_scale_are_not_clipped():
    weights = nn.Parameter(torch.ones(2))
    fused, plain = (torch.optim.Adam([weights], fused=fused) for fused in (True, False))
    scaling = SimpleNamespace(scaler="one")
    with pytest.raises(UserError, match=r"16-mixed set optimizer\.fused=false$"):
        GradientClipping().on_train_start(SimpleNamespace(precision_plugin=scaling, optimizers=[plain, fused]), None)
    GradientClipping().on_train_start(SimpleNamespace(precision_plugin=scaling, optimizers=[plain]), None)
    GradientClipping().on_train_start(SimpleNamespace(precision_plugin=None, optimizers=[fused]), None)
