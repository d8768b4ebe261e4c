"""Supervised: trained by a real Trainer on the CPU; what it logs, and what it hands to optimizer and scheduler."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, OneCycleLR, ReduceLROnPlateau, StepLR

from trainer.callbacks.fast_loop import LeanSteps
from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.line import Line
from trainer.data.loading.split import Split
from trainer.data.xor import XOR
from trainer.model.linear import Linear
from trainer.model.mlp import MLP
from trainer.task.objective import objective_for
from trainer.task.schedulers import constant, cosine, plateau
from trainer.task.supervised import Supervised

BY_A_TENTH = partial(SGD, lr=0.1)


def lightning(epochs=1, **settings):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return pl.Trainer(max_epochs=epochs, accelerator="cpu", devices=1, log_every_n_steps=1, **quiet | settings)


def supervised(data, net=Linear, optimizer=BY_A_TENTH, scheduler=constant):
    torch.manual_seed(0)
    return Supervised(net(data.spec), objective_for(data.spec), optimizer, scheduler)


def numbers(trainer):
    return {name: value.item() for name, value in trainer.callback_metrics.items()}


class Rates(pl.Callback):
    """Notes the rate that each training step is made with."""

    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, *_):
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


class FiveClasses(TensorData):
    """Five examples of three classes for each split, of which the test's classes are all 0."""

    spec = DataSpec("five", "vector", (3,), "classes", output_size=3, class_names=("a", "b", "c"))

    def load(self):
        inputs = torch.tensor([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 5.0, 0.0]])
        val = Split(inputs, torch.tensor([0, 1, 2, 1, 1]))  # the fourth is said to be 0
        return {"train": val, "val": val, "test": Split(inputs, torch.zeros(5, dtype=torch.long))}


def identity(spec):
    """A network that gives its inputs back."""
    net = Linear(spec)
    torch.nn.init.eye_(net.layer.weight)
    torch.nn.init.zeros_(net.layer.bias)
    return net


def test_a_network_learns_xor():
    data = XOR(batch_size=4)
    task = supervised(data, partial(MLP, hidden=[8], activation="tanh"), partial(Adam, lr=0.05))
    trainer = lightning(150, check_val_every_n_epoch=150)
    trainer.fit(task, data)
    assert numbers(trainer)["val/accuracy"] == 1
    assert (task(data.splits["test"].inputs) > 0)[:, 0].tolist() == [False, True, True, False]


def test_classes_are_logged_by_these_names():
    data, trainer = XOR(batch_size=4), lightning()
    task = supervised(data)
    trainer.fit(task, data)
    assert set(numbers(trainer)) == {"train/loss", "val/loss", "val/accuracy"}
    trainer.test(task, data, verbose=False)
    assert set(numbers(trainer)) == {"test/loss", "test/accuracy"}


def test_values_are_logged_by_these_names():
    data, trainer = Line(), lightning()
    trainer.fit(supervised(data), data)
    assert set(numbers(trainer)) == {"train/loss", "val/loss", "val/mae", "val/rmse", "val/r2"}


@pytest.mark.parametrize("at_once", [1, 3, 1024], ids=["each_batch", "some", "all"])
@pytest.mark.parametrize("callbacks", [[], [LeanSteps()]], ids=["lightning", "lean"])
def test_the_loss_and_metrics_of_a_split_are_those_of_all_its_examples_whatever_the_batches(
    at_once, callbacks, monkeypatch
):
    monkeypatch.setattr("trainer.task.metric_accumulator.AT_ONCE", at_once)
    data = Line(points=25, val_share=0.2, eval_batch_size=2)  # batches of 2, 2 and 1
    trainer = lightning(2, callbacks=callbacks)
    task = supervised(data)
    trainer.fit(task, data)
    inputs, targets = data.splits["val"]
    with torch.no_grad():
        errors = task(inputs) - targets
    expected = errors.square().mean().item()
    assert numbers(trainer)["val/loss"] == pytest.approx(expected, rel=1e-5)
    assert numbers(trainer)["val/rmse"] == pytest.approx(expected**0.5, rel=1e-5)
    assert numbers(trainer)["val/mae"] == pytest.approx(errors.abs().mean().item(), rel=1e-5)
    assert numbers(trainer)["val/r2"] == pytest.approx(1 - expected / targets.var(correction=0).item(), rel=1e-4)


def test_accuracy_counts_the_examples_of_the_split_itself():
    data, trainer = FiveClasses(batch_size=5, eval_batch_size=2), lightning()
    task = supervised(data, identity)
    trainer.validate(task, data, verbose=False)
    assert numbers(trainer)["val/accuracy"] == pytest.approx(0.8)
    assert numbers(trainer)["val/loss"] == pytest.approx(F.cross_entropy(*data.splits["val"]).item(), rel=1e-6)
    trainer.test(task, data, verbose=False)
    assert numbers(trainer)["test/accuracy"] == pytest.approx(0.4)


def test_the_metrics_begin_anew_with_each_evaluation():
    data, trainer = FiveClasses(batch_size=5), lightning()
    task = supervised(data, identity)
    trainer.validate(task, data, verbose=False)
    torch.nn.init.eye_(task.net.layer.weight).data.neg_()
    trainer.validate(task, data, verbose=False)
    assert numbers(trainer)["val/accuracy"] == pytest.approx(0.2)  # of 0.8 before; only the fourth is right now
    inputs, targets = data.splits["val"]
    assert numbers(trainer)["val/loss"] == pytest.approx(F.cross_entropy(-inputs, targets).item(), rel=1e-6)


def test_the_training_loss_is_that_before_the_step():
    data, trainer = Line(points=8, val_share=0, batch_size=8), lightning()
    data.setup("fit")
    task = supervised(data)
    before = F.mse_loss(task(data.splits["train"].inputs), data.splits["train"].targets).item()
    trainer.fit(task, data)
    assert numbers(trainer)["train/loss"] == pytest.approx(before, rel=1e-5)


def trained(**how):
    batch_size = how.pop("batch_size")
    data = Line(points=16, val_share=0, batch_size=batch_size)
    task = supervised(data)
    trainer = lightning(3, **how)
    trainer.fit(task, data)
    return task.net.layer.weight.item(), task.net.layer.bias.item(), trainer.global_step


def test_two_accumulated_batches_are_one_of_twice_the_size():
    double, single = trained(batch_size=8), trained(batch_size=4)
    accumulated = trained(batch_size=4, accumulate_grad_batches=2)
    assert accumulated == pytest.approx(double, abs=1e-6)
    assert double[2] == 6
    assert single[0] != pytest.approx(double[0], abs=1e-3)


def test_one_step_of_sgd_is_the_one_worked_out_by_hand():
    data = Line(points=2, slope=2, intercept=1, noise=0, val_share=0, batch_size=2)  # (0, 1) and (1, 3)
    task = supervised(data)
    torch.nn.init.zeros_(task.net.layer.weight)
    torch.nn.init.zeros_(task.net.layer.bias)
    lightning().fit(task, data)
    # gradient of ((wx + b - y) ** 2) / 2 summed, at 0: w -(0 * 1 + 1 * 3) = -3, b -(1 + 3) = -4
    assert task.net.layer.weight.item() == pytest.approx(0.3)
    assert task.net.layer.bias.item() == pytest.approx(0.4)


def test_the_scheduler_is_told_how_many_steps_the_training_has():
    told = []

    def schedule(optimizer, total_steps):
        told.append(total_steps)
        return constant(optimizer)

    data = Line(points=16, val_share=0, batch_size=4)
    lightning(3, accumulate_grad_batches=2).fit(supervised(data, scheduler=schedule), data)
    assert told == [6]
    assert type(told[0]) is int


@pytest.mark.parametrize(
    ("scheduler", "rate"),
    [
        (partial(ExponentialLR, gamma=0.5), 0.0125),  # 0.1 / 2 ** 3: bare, by epochs
        (partial(CosineAnnealingLR, T_max=3, eta_min=0.02), 0.02),
        (partial(cosine, final_factor=0.25), 0.025),  # ours, by steps: at its end after 12 of them
        (constant, 0.1),
    ],
)
def test_a_schedule_is_stepped_by_epochs_unless_it_says_otherwise(scheduler, rate):
    data, trainer = Line(points=16, val_share=0, batch_size=4), lightning(3)
    trainer.fit(supervised(data, scheduler=scheduler), data)
    assert trainer.lr_scheduler_configs[0].name == "lr"
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(rate)


def test_a_schedule_of_torchs_that_takes_the_number_of_steps_is_stepped_by_steps():
    schedule = partial(OneCycleLR, max_lr=0.4, pct_start=0.25, anneal_strategy="linear", div_factor=4)
    schedule = partial(schedule, final_div_factor=2.5, cycle_momentum=False)
    data, rates = Line(points=16, val_share=0, batch_size=4), Rates()
    lightning(3, callbacks=[rates]).fit(supervised(data, scheduler=schedule), data)
    # from 0.4 / 4 up to 0.4 in 2 steps, then down to 0.4 / 4 / 2.5 in 9
    assert rates.seen == pytest.approx([0.1, 0.25, 0.4, 0.36, 0.32, 0.28, 0.24, 0.2, 0.16, 0.12, 0.08, 0.04])


@pytest.mark.parametrize(
    "scheduler",
    [partial(ReduceLROnPlateau, factor=0.5, patience=0), partial(plateau, factor=0.5, patience=0)],
    ids=["torchs", "ours"],
)
@pytest.mark.parametrize(
    ("every_epochs", "expected"),
    [(1, [0.1, 0.1, 0.05, 0.025, 0.0125, 0.00625]), (2, [0.1, 0.1, 0.1, 0.1, 0.05, 0.05])],
)
def test_a_plateau_looks_at_the_validation_loss_after_each_validation(scheduler, every_epochs, expected):
    uphill = partial(SGD, lr=0.1, maximize=True)  # so that each validation is worse than the first
    data, rates = Line(points=16, val_share=0, batch_size=16), Rates()
    trainer = lightning(6, check_val_every_n_epoch=every_epochs, callbacks=[rates])
    trainer.fit(supervised(data, optimizer=uphill, scheduler=scheduler), data)
    assert rates.seen == pytest.approx(expected)
    assert trainer.lr_scheduler_configs[0].monitor == "val/loss"


def test_a_schedule_that_needs_a_length_refuses_a_training_without_end():
    data = XOR(batch_size=4)
    with pytest.raises(UserError, match=r"^scheduler: needs to know how long the training is; set trainer\.max_epochs"):
        lightning(-1, max_time="00:00:00:01").fit(supervised(data, scheduler=cosine), data)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"optimizer": partial(SGD, lr=-1.0)}, r"^optimizer: Invalid learning rate: -1\.0"),
        ({"optimizer": partial(SGD, lr=0.1, nesterov=True)}, "^optimizer: Nesterov momentum requires a momentum"),
        ({"scheduler": StepLR}, "^scheduler: .*missing 1 required positional argument: 'step_size'"),
    ],
)
def test_a_refusal_is_blamed_on_the_key_that_was_wrong(wrong, message):
    data = XOR(batch_size=4)
    with pytest.raises(UserError, match=message):
        lightning().fit(supervised(data, **wrong), data)
