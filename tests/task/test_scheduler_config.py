"""WSD, and the classes of `torch.optim.lr_scheduler` by their names in a config."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch.optim import SGD
from torch.optim import lr_scheduler as torch_schedulers

import trainer
from trainer.core.errors import UserError
from trainer.task.scheduler_config import make_scheduler_config
from trainer.task.schedulers import wsd
from trainer.training.build_optimizer import build_scheduler

EPOCHS = 4
STEPS = 40
TRAINING = SimpleNamespace(estimated_stepping_batches=STEPS, max_epochs=EPOCHS, check_val_every_n_epoch=1)
LINEAR = "{_target_: torch.optim.lr_scheduler.LinearLR, _partial_: true, start_factor: 0.1, total_iters: 10}"
COSINE = "{_target_: torch.optim.lr_scheduler.CosineAnnealingLR, _partial_: true}"
CLASSES = {  # arguments, interval, and the arguments of a hand-written schedule
    "OneCycleLR": ({"max_lr": 0.5}, "step", {"max_lr": 0.5, "total_steps": STEPS}),
    "OneCycleLR of chosen length": ({"max_lr": 0.5, "total_steps": 50}, "step", {"max_lr": 0.5, "total_steps": 50}),
    "OneCycleLR of epochs": (
        {"max_lr": 0.5, "epochs": 5, "steps_per_epoch": 10},
        "step",
        {"max_lr": 0.5, "total_steps": 50},
    ),
    "CosineAnnealingLR": ({}, "epoch", {"T_max": EPOCHS}),
    "CosineAnnealingLR by steps": ({"interval": "step"}, "step", {"T_max": STEPS}),
    "CosineAnnealingLR of chosen length": ({"T_max": 3}, "epoch", {"T_max": 3}),
    "CosineAnnealingWarmRestarts": ({"T_0": 7, "interval": "step"}, "step", {"T_0": 7}),
    "LinearLR": ({"total_iters": 3}, "epoch", {"total_iters": 3}),
    "PolynomialLR": ({"total_iters": 30, "power": 2.0, "interval": "step"}, "step", {"total_iters": 30, "power": 2.0}),
    "ExponentialLR": ({"gamma": 0.9}, "epoch", {"gamma": 0.9}),
    "MultiStepLR": ({"milestones": [1, 3]}, "epoch", {"milestones": [1, 3]}),
    "CyclicLR": (
        {"base_lr": 0.1, "max_lr": 0.2, "step_size_up": 3, "interval": "step"},
        "step",
        {"base_lr": 0.1, "max_lr": 0.2, "step_size_up": 3},
    ),
}


def make_sgd(*rates):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    return SGD(groups, lr=1.0, momentum=0.9)


def read_rates(schedule, steps=STEPS):
    rates = []
    for _ in range(steps):
        rates.append([(group["lr"], group["momentum"]) for group in schedule.optimizer.param_groups])
        schedule.optimizer.step()
        schedule.step()
    return rates


def configure(name, settings):
    config = trainer.configure("data=digits", "scheduler=constant", f"scheduler._target_={name}", *settings)
    return build_scheduler(config)


@pytest.mark.slow
@pytest.mark.parametrize("title", CLASSES)
def test_a_class_of_torch_has_the_rates_of_a_hand_written_one(title):
    name = title.split()[0]
    settings, interval, arguments = CLASSES[title]
    overrides = [f"+scheduler.{key}={str(value).replace(' ', '')}" for key, value in settings.items()]
    factory = configure(f"torch.optim.lr_scheduler.{name}", overrides)
    actual = make_scheduler_config(factory, make_sgd(0.4), TRAINING)
    assert actual["interval"] == interval
    expected = getattr(torch_schedulers, name)(make_sgd(0.4), **arguments)
    assert read_rates(actual["scheduler"]) == read_rates(expected)


def test_schedules_run_one_after_another_or_together():
    overrides = [f"+scheduler.schedulers=[{LINEAR},{COSINE}]", "+scheduler.milestones=[10]", "+scheduler.interval=step"]
    factory = configure("torch.optim.lr_scheduler.SequentialLR", overrides)
    actual = make_scheduler_config(factory, make_sgd(0.4), TRAINING)["scheduler"]
    optimizer = make_sgd(0.4)
    parts = [
        torch_schedulers.LinearLR(optimizer, start_factor=0.1, total_iters=10),
        torch_schedulers.CosineAnnealingLR(optimizer, T_max=STEPS - 10),
    ]
    assert read_rates(actual) == read_rates(torch_schedulers.SequentialLR(optimizer, parts, milestones=[10]))

    factory = configure("torch.optim.lr_scheduler.ChainedScheduler", [overrides[0], overrides[2]])
    actual = make_scheduler_config(factory, make_sgd(0.4), TRAINING)["scheduler"]
    optimizer = make_sgd(0.4)
    parts = [
        torch_schedulers.LinearLR(optimizer, start_factor=0.1, total_iters=10),
        torch_schedulers.CosineAnnealingLR(optimizer, T_max=STEPS),
    ]
    actual_rates, expected = (
        read_rates(SimpleNamespace(optimizer=owner, step=schedule.step))
        for owner, schedule in ((actual.optimizer, actual), (optimizer, torch_schedulers.ChainedScheduler(parts)))
    )
    assert actual_rates == expected


def test_a_plateau_of_torch_monitors_the_chosen_metric():
    factory = configure("torch.optim.lr_scheduler.ReduceLROnPlateau", ["+scheduler.monitor=train/loss"])
    config = make_scheduler_config(factory, make_sgd(0.4), TRAINING)
    assert (config["monitor"], config["interval"]) == ("train/loss", "epoch")


def test_each_group_is_scaled_from_its_own_rate():
    schedule = wsd(make_sgd(0.4, 0.1), 10, warmup_fraction=0.2, decay_fraction=0.5)
    factors = [0.5, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0]
    expected = [[(0.4 * factor, 0.9), (0.1 * factor, 0.9)] for factor in factors]
    assert torch.allclose(torch.tensor(read_rates(schedule, 10)), torch.tensor(expected))


@pytest.mark.parametrize("total_steps", [1, 2, 3, 7, 20])
def test_wsd_ends_at_its_final_factor_and_stays_there(total_steps):
    schedule = wsd(make_sgd(0.5), total_steps, final_factor=0.1, decay_fraction=0.5)
    rates = [rates[0][0] for rates in read_rates(schedule, total_steps + 2)]
    assert rates[-3:] == pytest.approx([0.05] * 3) or total_steps == 1
    assert max(rates) <= 0.5


@pytest.mark.parametrize("fractions", [(-0.1, 0.2), (0.6, 0.5)])
def test_fractions_of_wsd_are_parts_of_the_training(fractions):
    with pytest.raises(UserError, match="are not parts of 1"):
        wsd(make_sgd(1.0), 10, warmup_fraction=fractions[0], decay_fraction=fractions[1])


def test_one_rate_for_groups_with_several_is_refused():
    factory = partial(torch_schedulers.OneCycleLR, max_lr=0.5)
    with pytest.raises(UserError, match=r"scheduler.max_lr: one rate for parameter groups with 2 rates; .*onecycle"):
        make_scheduler_config(factory, make_sgd(0.4, 0.1), TRAINING)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["scheduler=cosine", "+scheduler.interval=epoch"], "cosine takes no 'interval'"),
        (
            ["scheduler._target_=torch.optim.lr_scheduler.CosineAnnealingLR", "+scheduler.interval=batch"],
            "scheduler.interval: 'batch' is invalid; expected step or epoch",
        ),
        (
            ["scheduler._target_=torch.optim.lr_scheduler.CosineAnnealingWarmRestarts"],
            "missing 1 required positional argument: 'T_0'",
        ),
    ],
)
def test_invalid_schedules_are_refused_before_the_run(overrides, message, command):
    outcome = command("data=digits", *overrides)
    assert outcome.code == 1
    assert message in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.slow
def test_a_cycle_of_the_momentum_within_a_sequence_is_trained_as_lightning_does(command):
    cycle = "{_target_: torch.optim.lr_scheduler.OneCycleLR, _partial_: true, max_lr: 0.5}"
    settings = ("data=digits", "model=linear", "optimizer=sgd", "optimizer.momentum=0.9", "trainer.max_epochs=2")
    settings += ("scheduler._target_=torch.optim.lr_scheduler.SequentialLR", "+scheduler.interval=step", "logger=none")
    settings += (f"+scheduler.schedulers=[{LINEAR},{cycle}]", "+scheduler.milestones=[25]", "test=false")
    weights = []
    for name, loop in {"fast": (), "plain": ("~callbacks.fast_loop",)}.items():
        outcome = command(*settings, *loop, f"hydra.run.dir={name}")
        assert outcome.code == 0, outcome.err
        weights.append(torch.load(f"{name}/checkpoints/last.ckpt", weights_only=True)["state_dict"])
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@pytest.mark.slow
def test_a_training_that_is_longer_than_its_schedule_is_one_error(command):
    settings = ("scheduler._target_=torch.optim.lr_scheduler.OneCycleLR", "+scheduler.max_lr=0.01", "logger=none")
    assert command("data=digits", *settings, "trainer.max_epochs=1", "hydra.run.dir=run").code == 0
    outcome = command("resume", "run", "trainer.max_epochs=2")
    assert outcome.code == 1
    assert "error: scheduler: the training is longer than its schedule; Tried to step 21 times" in outcome.err
    assert "Traceback" not in outcome.err
