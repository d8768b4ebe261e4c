"""Schedules: the rate at each step of a real optimizer, against values written out."""

from math import cos, pi

import pytest
import torch
from torch.optim import SGD, Adam

from trainer.schedule import constant, cosine, onecycle, plateau, step, warmup


def sgd(rate=1.0):
    return SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)


def rates(optimizer, config, steps):
    """The rate that each of the steps is made with, and the one that is left after them."""
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        config["scheduler"].step()
    return [*seen, optimizer.param_groups[0]["lr"]]


def test_constant_keeps_the_rate():
    optimizer = sgd(0.3)
    assert rates(optimizer, constant(optimizer), 4) == [0.3] * 5


def test_step_multiplies_the_rate_every_so_many_epochs():
    optimizer = sgd(0.8)
    config = step(optimizer, every_epochs=2, factor=0.5)
    assert config["interval"] == "epoch"
    assert rates(optimizer, config, 5) == pytest.approx([0.8, 0.8, 0.4, 0.4, 0.2, 0.2])


def test_cosine_falls_along_half_a_cosine_to_zero():
    optimizer = sgd(2.0)
    expected = [2.0, 1.7071068, 1.0, 0.2928932, 0.0]
    assert rates(optimizer, cosine(optimizer, 4), 4) == pytest.approx(expected, abs=1e-7)


def test_cosine_rises_first_and_ends_at_the_final_factor():
    optimizer = sgd(2.0)
    config = cosine(optimizer, 6, warmup_steps=2, final_factor=0.1)
    # 0.1 + 0.9 * (1, 0.8535534, 0.5, 0.1464466, 0)
    expected = [1.0, 2.0, 2.0, 1.7363961, 1.1, 0.4636039, 0.2]
    assert rates(optimizer, config, 6) == pytest.approx(expected, abs=1e-7)


def test_cosine_stays_at_its_end_if_training_goes_on():
    optimizer = sgd()
    assert rates(optimizer, cosine(optimizer, 2, final_factor=0.25), 4)[2:] == pytest.approx([0.25] * 3)


@pytest.mark.parametrize("total_steps", [1, 2, 3])
def test_cosine_bears_a_training_shorter_than_its_warm_up(total_steps):
    optimizer = sgd()
    found = rates(optimizer, cosine(optimizer, total_steps, warmup_steps=4), total_steps)
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0][: total_steps + 1])


def test_warmup_rises_linearly_and_stays():
    optimizer = sgd(0.8)
    assert rates(optimizer, warmup(optimizer, warmup_steps=4), 6) == pytest.approx([0.2, 0.4, 0.6] + [0.8] * 4)


def test_no_warmup_is_the_rate_at_once():
    optimizer = sgd(0.8)
    assert rates(optimizer, warmup(optimizer, warmup_steps=0), 2) == [0.8] * 3


def test_onecycle_rises_and_falls_along_cosines():
    optimizer = sgd()
    found = rates(optimizer, onecycle(optimizer, 20, max_lr=2.0), 20)[:20]
    rise = [2 * (1 + (0.04 - 1) * (1 + cos(pi * at / 4)) / 2) for at in range(4)]  # steps 0 to 3, the top at 4
    fall = [2 * (4e-6 + (1 - 4e-6) * (1 + cos(pi * at / 15)) / 2) for at in range(16)]  # 4 to 19
    assert found == pytest.approx(rise + fall, rel=1e-6)


def test_onecycle_begins_tops_and_ends_where_it_is_told():
    optimizer = sgd()
    config = onecycle(optimizer, 10, max_lr=0.5, warmup_share=0.5, start_factor=0.2, final_factor=0.01)
    found = rates(optimizer, config, 10)
    assert (found[0], found[4], found[9]) == pytest.approx((0.1, 0.5, 0.005))
    assert max(found) == found[4]


@pytest.mark.parametrize("total_steps", [1, 2, 3, 5, 6, 7, 9, 101])
def test_onecycle_lasts_as_many_steps_as_the_training(total_steps):
    optimizer = Adam([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    assert all(0 < rate <= 0.1 for rate in rates(optimizer, onecycle(optimizer, total_steps, max_lr=0.1), total_steps))


@pytest.mark.parametrize("total_steps", [1, 7])
def test_a_schedule_by_steps_is_stepped_by_steps(total_steps):
    optimizer = sgd()
    configs = [constant(optimizer), cosine(optimizer, total_steps), warmup(optimizer, warmup_steps=3)]
    configs.append(onecycle(optimizer, total_steps, max_lr=0.1))
    assert [config["interval"] for config in configs] == ["step"] * 4


def plateau_rates(losses, **settings):
    optimizer = sgd()
    config = plateau(optimizer, **settings)
    seen = []
    for loss in losses:
        config["scheduler"].step(loss)
        seen.append(optimizer.param_groups[0]["lr"])
    return seen


def test_plateau_lowers_the_rate_after_more_than_its_patience():
    losses = [3.0, 2.0, 2.0, 2.1, 2.0, 1.0, 1.5, 1.5, 1.5]
    expected = [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]
    assert plateau_rates(losses, factor=0.5, patience_epochs=2) == expected


def test_plateau_can_wait_for_a_number_to_rise():
    rising = [0.1, 0.2, 0.3, 0.4]
    assert plateau_rates(rising, mode="max", patience_epochs=0) == [1, 1, 1, 1]
    assert plateau_rates(rising, mode="min", patience_epochs=0) == pytest.approx([1, 0.1, 0.01, 0.001])


def test_plateau_tells_lightning_what_it_looks_at():
    config = plateau(sgd(), monitor="val/accuracy", mode="max")
    assert (config["monitor"], config["interval"]) == ("val/accuracy", "epoch")
    assert plateau(sgd())["monitor"] == "val/loss"
