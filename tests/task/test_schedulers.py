"""Learning rates of schedules at each step, against expected values."""

import sys
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import LRScheduler

from trainer.task.scheduler_config import make_scheduler_config
from trainer.task.schedulers import constant, cosine, onecycle, plateau, step, warmup


def make_sgd(rate=1.0):
    return SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)


def get_rates(optimizer, schedule, steps):
    """Return the rate of each step, and the one after the last step."""
    recorded = []
    for _ in range(steps):
        recorded.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return [*recorded, optimizer.param_groups[0]["lr"]]


def test_constant_keeps_the_rate():
    optimizer = make_sgd(0.3)
    assert get_rates(optimizer, constant(optimizer), 4) == [0.3] * 5


def test_step_multiplies_the_rate_every_n_epochs():
    optimizer = make_sgd(0.8)
    schedule = step(optimizer, every_n_epochs=2, factor=0.5)
    assert get_rates(optimizer, schedule, 5) == pytest.approx([0.8, 0.8, 0.4, 0.4, 0.2, 0.2])


def test_cosine_falls_along_half_a_cosine_to_zero():
    optimizer = make_sgd(2.0)
    expected = [2.0, 1.7071068, 1.0, 0.2928932, 0.0, 0.0]
    assert get_rates(optimizer, cosine(optimizer, 5), 5) == pytest.approx(expected, abs=1e-7)


def test_cosine_rises_first_and_ends_at_the_final_factor():
    optimizer = make_sgd(2.0)
    schedule = cosine(optimizer, 7, warmup_steps=2, final_factor=0.1)
    # 0.1 + 0.9 * (1, 0.8535534, 0.5, 0.1464466, 0)
    expected = [1.0, 2.0, 2.0, 1.7363961, 1.1, 0.4636039, 0.2, 0.2]
    assert get_rates(optimizer, schedule, 7) == pytest.approx(expected, abs=1e-7)


def test_cosine_keeps_the_final_rate_after_its_end():
    optimizer = make_sgd()
    assert get_rates(optimizer, cosine(optimizer, 2, final_factor=0.25), 4) == pytest.approx([1.0] + [0.25] * 4)


@pytest.mark.parametrize("total_steps", [1, 2, 3])
def test_cosine_supports_a_training_shorter_than_its_warmup(total_steps):
    optimizer = make_sgd()
    actual = get_rates(optimizer, cosine(optimizer, total_steps, warmup_steps=4), total_steps)
    assert actual == pytest.approx([0.25, 0.5, 0.75, 1.0][: total_steps + 1])


def test_warmup_rises_linearly_and_stays():
    optimizer = make_sgd(0.8)
    assert get_rates(optimizer, warmup(optimizer, warmup_steps=4), 6) == pytest.approx([0.2, 0.4, 0.6] + [0.8] * 4)


def test_warmup_of_no_steps_keeps_the_rate():
    optimizer = make_sgd(0.8)
    assert get_rates(optimizer, warmup(optimizer, warmup_steps=0), 2) == [0.8] * 3


def test_onecycle_rises_to_the_optimizers_rate_and_falls_along_cosines():
    optimizer = make_sgd(2.0)
    schedule = onecycle(optimizer, 9, warmup_fraction=0.45, start_factor=0.2, final_factor=0.1)  # 4 of 9 steps
    # 2 * (0.2 + 0.8 * (0, 0.1464466, 0.5, 0.8535534)), then 2 * (0.1 + 0.9 * (1, 0.8535534, 0.5, 0.1464466, 0))
    expected = [0.4, 0.6343146, 1.2, 1.7656854, 2.0, 1.7363961, 1.1, 0.4636039, 0.2, 0.2]
    assert get_rates(optimizer, schedule, 9) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("total_steps", "expected"),
    [
        (1, [1.0]),
        (2, [1.0, 4e-6]),  # a quarter of two steps, rounded, is 0
        (3, [0.04, 1.0, 4e-6]),
        (4, [0.04, 1.0, 0.500002, 4e-6]),
        (6, [0.04, 0.52, 1.0, 0.750001, 0.250003, 4e-6]),
    ],
)
def test_onecycle_supports_a_training_of_few_steps(total_steps, expected):
    optimizer = make_sgd()
    assert get_rates(optimizer, onecycle(optimizer, total_steps), total_steps)[:-1] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("total_steps", [1, 2, 3, 5, 6, 7, 9, 101])
def test_onecycle_never_goes_above_the_optimizers_rate_and_reaches_it_once(total_steps):
    optimizer = make_sgd(0.1)
    actual = get_rates(optimizer, onecycle(optimizer, total_steps), total_steps)[:-1]
    assert all(0 < rate <= 0.1 for rate in actual)
    assert actual.count(0.1) == 1


@pytest.mark.parametrize("total_steps", [2, 3, 4, 7, 20])
@pytest.mark.parametrize("schedule", [cosine, onecycle])
def test_the_last_step_has_the_final_factor(schedule, total_steps):
    optimizer = make_sgd(0.5)
    actual = get_rates(optimizer, schedule(optimizer, total_steps, final_factor=0.1), total_steps)
    assert actual[-2:] == pytest.approx([0.05, 0.05])
    assert actual[-3] > 0.051


def test_onecycle_does_not_change_momentum():
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    for optimizer in (SGD(parameters, lr=0.1, momentum=0.7), Adam(parameters, lr=0.1, betas=(0.8, 0.9))):
        schedule = onecycle(optimizer, 5)
        for _ in range(5):
            optimizer.step()
            schedule.step()
            group = optimizer.param_groups[0]
            assert (group.get("momentum"), group.get("betas")) in [(0.7, None), (None, (0.8, 0.9))]


@pytest.mark.parametrize("total_steps", [1, 7])
def test_a_schedule_by_steps_is_stepped_by_steps(total_steps):
    trainer = SimpleNamespace(estimated_stepping_batches=total_steps)
    for factory in (cosine, partial(warmup, warmup_steps=3), onecycle):
        assert make_scheduler_config(factory, make_sgd(), trainer)["interval"] == "step"


def test_other_schedules_are_stepped_by_epochs():
    factory = partial(step, every_n_epochs=2, factor=0.5)
    assert make_scheduler_config(factory, make_sgd(), SimpleNamespace())["interval"] == "epoch"
    config = make_scheduler_config(constant, make_sgd(), SimpleNamespace())
    assert (config["interval"], config["frequency"]) == ("epoch", sys.maxsize)


def plateau_rates(losses, **settings):
    optimizer = make_sgd()
    schedule = plateau(optimizer, **settings)
    recorded = []
    for loss in losses:
        schedule.step(loss)
        recorded.append(optimizer.param_groups[0]["lr"])
    return recorded


def test_plateau_lowers_the_rate_after_more_than_its_patience():
    losses = [3.0, 2.0, 2.0, 2.1, 2.0, 1.0, 1.5, 1.5, 1.5]
    expected = [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]
    assert plateau_rates(losses, factor=0.5, patience=2) == expected


def test_plateau_supports_metrics_that_should_rise():
    rising = [0.1, 0.2, 0.3, 0.4]
    assert plateau_rates(rising, mode="max", patience=0) == [1, 1, 1, 1]
    assert plateau_rates(rising, mode="min", patience=0) == pytest.approx([1, 0.1, 0.01, 0.001])


def test_plateau_monitors_its_metric():
    trainer = SimpleNamespace(check_val_every_n_epoch=1)
    config = make_scheduler_config(partial(plateau, monitor="val/accuracy", mode="max"), make_sgd(), trainer)
    assert (config["monitor"], config["interval"]) == ("val/accuracy", "epoch")
    assert make_scheduler_config(plateau, make_sgd(), trainer)["monitor"] == "val/loss"


@pytest.mark.parametrize("factory", [constant, partial(step, every_n_epochs=2, factor=0.5), plateau])
def test_a_module_with_its_own_configuration_receives_a_scheduler_of_pytorch(factory):
    assert isinstance(factory(optimizer=make_sgd()), LRScheduler)
