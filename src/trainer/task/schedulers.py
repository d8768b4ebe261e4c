"""Learning-rate schedules that depend on the length of the training.

Each is a function of the optimizer, and of `total_steps` if the length matters (the task passes both), and returns a
scheduler of PyTorch. Any scheduler of `torch.optim.lr_scheduler` can be named by `_target_` as well.
"""

import math
import sys
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau, StepLR

from trainer.core.errors import UserError
from trainer.core.metric_direction import AUTO, resolve_mode

INFINITE_EPOCHS = sys.maxsize
SchedulerConfig = dict[str, Any]  # Lightning's lr_scheduler_config
SchedulerFactory = Callable[..., LRScheduler | SchedulerConfig]
OPTIONS_ATTRIBUTE = "lightning_options"  # of a scheduler or its factory: the other entries of its `SchedulerConfig`


def _set_options(scheduler: LRScheduler, **options: Any) -> LRScheduler:
    setattr(scheduler, OPTIONS_ATTRIBUTE, options)
    return scheduler


def _require_at_least(minimum: int, **arguments: int) -> None:
    for name, value in arguments.items():
        if value < minimum:
            raise UserError(f"scheduler.{name}: {value} is too small; expected a whole number of at least {minimum}")


def _anneal_cosine(start: float, end: float, fraction: float) -> float:
    """Return the point at `fraction` of half a cosine from `start` to `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, fraction))) / 2


def constant(optimizer: Optimizer) -> LRScheduler:
    """Keep the rate of the optimizer."""
    return _set_options(LambdaLR(optimizer, lambda _: 1.0), interval="epoch", frequency=INFINITE_EPOCHS)


def step(optimizer: Optimizer, *, every_n_epochs: int, factor: float) -> LRScheduler:
    """Multiply the rate by `factor` every `every_n_epochs` epochs.

    Raises:
        UserError: `every_n_epochs` is less than 1.
    """
    _require_at_least(1, every_n_epochs=every_n_epochs)
    return StepLR(optimizer, every_n_epochs, factor)


def cosine(optimizer: Optimizer, total_steps: int, *, warmup_steps: int = 0, final_factor: float = 0.0) -> LRScheduler:
    """Rise linearly for `warmup_steps`, then fall along half a cosine to `final_factor` of the rate.

    Raises:
        UserError: `warmup_steps` is negative.

    Source:
        Loshchilov and Hutter 2017, SGDR, equation 5 with one cycle.
    """
    _require_at_least(0, warmup_steps=warmup_steps)

    def factor(done: int) -> float:
        if done < warmup_steps:
            return (done + 1) / warmup_steps
        return _anneal_cosine(1.0, final_factor, (done - warmup_steps) / max(1, total_steps - 1 - warmup_steps))

    return _set_options(LambdaLR(optimizer, factor), interval="step")


def warmup(optimizer: Optimizer, *, warmup_steps: int) -> LRScheduler:
    """Rise linearly to the optimizer's rate within `warmup_steps`, then stay there.

    Raises:
        UserError: `warmup_steps` is negative.
    """
    _require_at_least(0, warmup_steps=warmup_steps)
    schedule = LambdaLR(optimizer, lambda done: min(1.0, (done + 1) / max(1, warmup_steps)))
    return _set_options(schedule, interval="step")


def onecycle(
    optimizer: Optimizer,
    total_steps: int,
    *,
    warmup_fraction: float = 0.25,
    start_factor: float = 0.04,
    final_factor: float = 4e-6,
) -> LRScheduler:
    """Rise along half a cosine from `start_factor` of the rate to all of it, then fall along another to `final_factor`.

    The rise takes `warmup_fraction` of all steps.

    Raises:
        UserError: `warmup_fraction` is not between 0 and 1.

    Source:
        Smith and Topin 2018, Super-convergence; momentum does not change, unlike in the version of `torch.optim`.
    """
    if not 0 <= warmup_fraction <= 1:
        raise UserError(f"scheduler.warmup_fraction: {warmup_fraction} is not between 0 and 1")
    warmup_steps = round(warmup_fraction * total_steps)

    def factor(done: int) -> float:
        if done < warmup_steps:
            return _anneal_cosine(start_factor, 1.0, done / warmup_steps)
        return _anneal_cosine(1.0, final_factor, (done - warmup_steps) / max(1, total_steps - 1 - warmup_steps))

    return _set_options(LambdaLR(optimizer, factor), interval="step")


def wsd(
    optimizer: Optimizer,
    total_steps: int,
    *,
    warmup_fraction: float = 0.05,
    decay_fraction: float = 0.2,
    final_factor: float = 0.0,
) -> LRScheduler:
    """Rise linearly to the rate (warm-up), keep it (stable), then fall linearly to `final_factor` of it (decay).

    The rise takes `warmup_fraction` of all steps, and the fall `decay_fraction`; the last step has the final rate.

    Raises:
        UserError: A fraction is negative, or both together are greater than 1.

    Source:
        Hu et al. 2024, MiniCPM, section 4.3 (WSD); Hägele et al. 2024, Scaling laws and compute-optimal training beyond
        fixed training durations, section 3 (a fall over 20 % of the steps).
    """
    if min(warmup_fraction, decay_fraction) < 0 or warmup_fraction + decay_fraction > 1:
        fractions = f"{warmup_fraction} and {decay_fraction}"
        raise UserError(f"scheduler.warmup_fraction, scheduler.decay_fraction: {fractions} are not parts of 1")
    warmup_steps = round(warmup_fraction * total_steps)
    decay_steps = round(decay_fraction * total_steps)

    def factor(done: int) -> float:
        rise = min(1.0, (done + 1) / max(1, warmup_steps))
        remaining = min(1.0, max(0, total_steps - 1 - done) / max(1, decay_steps)) if decay_steps else 1.0
        return min(rise, final_factor + (1 - final_factor) * remaining)

    return _set_options(LambdaLR(optimizer, factor), interval="step")


def plateau(
    optimizer: Optimizer,
    *,
    monitor: str = "val/loss",
    mode: str = AUTO,
    factor: float = 0.1,
    patience: int = 5,
) -> LRScheduler:
    """Multiply the rate by `factor` after more than `patience` validations without an improvement of `monitor`.

    Args:
        optimizer: Optimizer of the schedule.
        monitor: Metric that should improve.
        mode: `min` or `max`. Defaults to the direction of the metric.
        factor: Factor of the rate.
        patience: Number of validations without an improvement that are tolerated.

    Raises:
        UserError: The mode is `auto`, and the direction of the metric is unknown; or `patience` is negative.
    """
    _require_at_least(0, patience=patience)
    direction = resolve_mode("scheduler.mode", monitor, mode)
    scheduler = ReduceLROnPlateau(optimizer, direction, factor, patience)  # type: ignore[arg-type]
    return _set_options(scheduler, interval="epoch", monitor=monitor)
