"""Logged metrics, optimizers and schedulers of supervised training."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, OneCycleLR, ReduceLROnPlateau, StepLR

from trainer.callbacks.fast_loop import FastLoop
from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.line import Line
from trainer.data.loading.split import Split
from trainer.data.xor import XOR
from trainer.model.linear import Linear
from trainer.model.mlp import MLP
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant, cosine, plateau
from trainer.task.supervised import Supervised

SGD_TENTH = partial(SGD, lr=0.1)


def make_trainer(epochs=1, **settings):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return pl.Trainer(max_epochs=epochs, accelerator="cpu", devices=1, log_every_n_steps=1, **quiet | settings)


def make_task(data, net=Linear, optimizer=SGD_TENTH, scheduler=constant):
    torch.manual_seed(0)
    return Supervised(net(data.spec), make_objective(data.spec), optimizer, scheduler)


def get_metrics(trainer):
    return {name: value.item() for name, value in trainer.callback_metrics.items()}


class Rates(pl.Callback):
    """Records the learning rate of each training step."""

    def __init__(self):
        self.recorded = []

    def on_train_batch_start(self, trainer, *_):
        self.recorded.append(trainer.optimizers[0].param_groups[0]["lr"])


class FiveClasses(TensorData):
    """Five examples of three classes for each split; all classes of the test are 0."""

    spec = DataSpec("five", "vector", (3,), "classification", output_size=3, class_names=("a", "b", "c"))

    def load(self):
        inputs = torch.tensor([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 5.0, 0.0]])
        val = Split(inputs, torch.tensor([0, 1, 2, 1, 1]))  # the fourth is predicted as 0
        return {"train": val, "val": val, "test": Split(inputs, torch.zeros(5, dtype=torch.long))}


def identity(spec):
    """Return a network whose outputs are its inputs."""
    net = Linear(spec)
    torch.nn.init.eye_(net.layer.weight)
    torch.nn.init.zeros_(net.layer.bias)
    return net


def test_a_network_learns_xor():
    data = XOR(batch_size=4)
    task = make_task(data, partial(MLP, hidden=[8], activation="tanh"), partial(Adam, lr=0.05))
    trainer = make_trainer(150, check_val_every_n_epoch=150)
    trainer.fit(task, data)
    assert get_metrics(trainer)["val/accuracy"] == 1
    assert (task(data.splits["test"].inputs) > 0)[:, 0].tolist() == [False, True, True, False]


def test_names_of_classification_metrics():
    data, trainer = XOR(batch_size=4), make_trainer()
    task = make_task(data)
    trainer.fit(task, data)
    assert set(get_metrics(trainer)) == {"train/loss", "train/accuracy", "val/loss", "val/accuracy"}
    trainer.test(task, data, verbose=False)
    assert set(get_metrics(trainer)) == {"test/loss", "test/accuracy"}


def test_names_of_regression_metrics():
    data, trainer = Line(), make_trainer()
    trainer.fit(make_task(data), data)
    names = {f"{stage}/{name}" for stage in ("train", "val") for name in ("loss", "mae", "rmse", "r2")}
    assert set(get_metrics(trainer)) == names


@pytest.mark.parametrize("buffer_size", [1, 3, 1024], ids=["each_batch", "some", "all"])
@pytest.mark.parametrize("callbacks", [[], [FastLoop()]], ids=["lightning", "fast loop"])
def test_loss_and_metrics_do_not_depend_on_the_batches(buffer_size, callbacks, monkeypatch):
    monkeypatch.setattr("trainer.task.metric_accumulator.MAX_BUFFERED_EXAMPLES", buffer_size)
    data = Line(points=25, val_fraction=0.2, eval_batch_size=2)  # batches of 2, 2 and 1
    trainer = make_trainer(2, callbacks=callbacks)
    task = make_task(data)
    trainer.fit(task, data)
    inputs, targets = data.splits["val"]
    with torch.no_grad():
        errors = task(inputs) - targets
    expected = errors.square().mean().item()
    assert get_metrics(trainer)["val/loss"] == pytest.approx(expected, rel=1e-5)
    assert get_metrics(trainer)["val/rmse"] == pytest.approx(expected**0.5, rel=1e-5)
    assert get_metrics(trainer)["val/mae"] == pytest.approx(errors.abs().mean().item(), rel=1e-5)
    assert get_metrics(trainer)["val/r2"] == pytest.approx(1 - expected / targets.var(correction=0).item(), rel=1e-4)


def test_accuracy_is_computed_on_the_examples_of_the_split():
    data, trainer = FiveClasses(batch_size=5, eval_batch_size=2), make_trainer()
    task = make_task(data, identity)
    trainer.validate(task, data, verbose=False)
    assert get_metrics(trainer)["val/accuracy"] == pytest.approx(0.8)
    assert get_metrics(trainer)["val/loss"] == pytest.approx(F.cross_entropy(*data.splits["val"]).item(), rel=1e-6)
    trainer.test(task, data, verbose=False)
    assert get_metrics(trainer)["test/accuracy"] == pytest.approx(0.4)


def test_metrics_are_reset_after_each_evaluation():
    data, trainer = FiveClasses(batch_size=5), make_trainer()
    task = make_task(data, identity)
    trainer.validate(task, data, verbose=False)
    torch.nn.init.eye_(task.net.layer.weight).data.neg_()
    trainer.validate(task, data, verbose=False)
    assert get_metrics(trainer)["val/accuracy"] == pytest.approx(0.2)  # 0.8 before; now only the fourth is correct
    inputs, targets = data.splits["val"]
    assert get_metrics(trainer)["val/loss"] == pytest.approx(F.cross_entropy(-inputs, targets).item(), rel=1e-6)


def test_the_training_loss_is_computed_before_the_step():
    data, trainer = Line(points=8, val_fraction=0, batch_size=8), make_trainer()
    data.setup("fit")
    task = make_task(data)
    initial = F.mse_loss(task(data.splits["train"].inputs), data.splits["train"].targets).item()
    trainer.fit(task, data)
    assert get_metrics(trainer)["train/loss"] == pytest.approx(initial, rel=1e-5)


def train(**settings):
    batch_size = settings.pop("batch_size")
    data = Line(points=16, val_fraction=0, batch_size=batch_size)
    task = make_task(data)
    trainer = make_trainer(3, **settings)
    trainer.fit(task, data)
    return task.net.layer.weight.item(), task.net.layer.bias.item(), trainer.global_step


def test_two_accumulated_batches_equal_one_of_twice_the_size():
    double, single = train(batch_size=8), train(batch_size=4)
    accumulated = train(batch_size=4, accumulate_grad_batches=2)
    assert accumulated == pytest.approx(double, abs=1e-6)
    assert double[2] == 6
    assert single[0] != pytest.approx(double[0], abs=1e-3)


def test_one_step_of_sgd_equals_values_computed_by_hand():
    data = Line(points=2, slope=2, intercept=1, noise=0, val_fraction=0, batch_size=2)  # (0, 1) and (1, 3)
    task = make_task(data)
    torch.nn.init.zeros_(task.net.layer.weight)
    torch.nn.init.zeros_(task.net.layer.bias)
    make_trainer().fit(task, data)
    # gradient of ((wx + b - y) ** 2) / 2 summed, at 0: w -(0 * 1 + 1 * 3) = -3, b -(1 + 3) = -4
    assert task.net.layer.weight.item() == pytest.approx(0.3)
    assert task.net.layer.bias.item() == pytest.approx(0.4)


def test_the_scheduler_receives_the_number_of_steps():
    totals = []

    def schedule(optimizer, total_steps):
        totals.append(total_steps)
        return constant(optimizer)

    data = Line(points=16, val_fraction=0, batch_size=4)
    make_trainer(3, accumulate_grad_batches=2).fit(make_task(data, scheduler=schedule), data)
    assert totals == [6]
    assert type(totals[0]) is int


@pytest.mark.parametrize(
    ("scheduler", "rate"),
    [
        (partial(ExponentialLR, gamma=0.5), 0.0125),  # 0.1 / 2 ** 3: without a config, stepped by epochs
        (partial(CosineAnnealingLR, T_max=3, eta_min=0.02), 0.02),
        (partial(cosine, final_factor=0.25), 0.025),  # stepped by steps: at its end after 12
        (constant, 0.1),
    ],
)
def test_a_schedule_is_stepped_by_epochs_by_default(scheduler, rate):
    data, trainer = Line(points=16, val_fraction=0, batch_size=4), make_trainer(3)
    trainer.fit(make_task(data, scheduler=scheduler), data)
    assert trainer.lr_scheduler_configs[0].name == "lr"
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(rate)


def test_a_torch_schedule_with_total_steps_is_stepped_by_steps():
    schedule = partial(OneCycleLR, max_lr=0.4, pct_start=0.25, anneal_strategy="linear", div_factor=4)
    schedule = partial(schedule, final_div_factor=2.5, cycle_momentum=False)
    data, rates = Line(points=16, val_fraction=0, batch_size=4), Rates()
    make_trainer(3, callbacks=[rates]).fit(make_task(data, scheduler=schedule), data)
    # from 0.4 / 4 up to 0.4 in 2 steps, then down to 0.4 / 4 / 2.5 in 9
    assert rates.recorded == pytest.approx([0.1, 0.25, 0.4, 0.36, 0.32, 0.28, 0.24, 0.2, 0.16, 0.12, 0.08, 0.04])


@pytest.mark.parametrize(
    "scheduler",
    [partial(ReduceLROnPlateau, factor=0.5, patience=0), partial(plateau, factor=0.5, patience=0)],
    ids=["torchs", "ours"],
)
@pytest.mark.parametrize(
    ("every_n_epochs", "expected"),
    [(1, [0.1, 0.1, 0.05, 0.025, 0.0125, 0.00625]), (2, [0.1, 0.1, 0.1, 0.1, 0.05, 0.05])],
)
def test_plateau_monitors_the_validation_loss(scheduler, every_n_epochs, expected):
    uphill = partial(SGD, lr=0.1, maximize=True)  # so that each validation is worse than the first
    data, rates = Line(points=16, val_fraction=0, batch_size=16), Rates()
    trainer = make_trainer(6, check_val_every_n_epoch=every_n_epochs, callbacks=[rates])
    trainer.fit(make_task(data, optimizer=uphill, scheduler=scheduler), data)
    assert rates.recorded == pytest.approx(expected)
    assert trainer.lr_scheduler_configs[0].monitor == "val/loss"


def test_a_schedule_that_needs_the_length_rejects_an_unlimited_training():
    data = XOR(batch_size=4)
    with pytest.raises(UserError, match=r"^scheduler: the length of the training is unknown; set trainer\.max_epochs"):
        make_trainer(-1, max_time="00:00:00:01").fit(make_task(data, scheduler=cosine), data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": partial(SGD, lr=-1.0)}, r"^optimizer: Invalid learning rate: -1\.0"),
        ({"optimizer": partial(SGD, lr=0.1, nesterov=True)}, "^optimizer: Nesterov momentum requires a momentum"),
        ({"scheduler": StepLR}, "^scheduler: .*missing 1 required positional argument: 'step_size'"),
    ],
)
def test_errors_name_the_key_of_the_invalid_setting(settings, message):
    data = XOR(batch_size=4)
    with pytest.raises(UserError, match=message):
        make_trainer().fit(make_task(data, **settings), data)
