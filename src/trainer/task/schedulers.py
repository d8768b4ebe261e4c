"""Learning-rate schedules that know how long the training is.

Each is a function of the optimizer, and of `total_steps` where the length matters (the task adds both), and
returns what Lightning calls a scheduler config. Any scheduler of `torch.optim.lr_scheduler` can be named by
`_target_` as well.
"""

import inspect
import math
import sys
from collections.abc import Callable
from typing import Any

from pytorch_lightning import Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau, StepLR

from trainer.core.errors import UserError
from trainer.core.metric_direction import AUTO, mode_of

NEVER = sys.maxsize  # epochs
Config = dict[str, Any]  # keys of Lightning's lr_scheduler_config
MakeSchedule = Callable[..., LRScheduler | Config]


def lightning_schedule(make: MakeSchedule, optimizer: Optimizer, trainer: Trainer) -> Config:
    """Make a schedule, whoever wrote it, and say how Lightning is to step it.

    Args:
        make: One of the functions below, or a class of `torch.optim.lr_scheduler`; gets the optimizer, and
            `total_steps` where it takes that.
        optimizer: Whose rate it sets.
        trainer: Knows how long the training is.

    Raises:
        UserError: The length matters and is not known.
    """
    takes_length = "total_steps" in inspect.signature(make).parameters
    steps = trainer.estimated_stepping_batches if takes_length else 0
    if steps == float("inf"):
        raise UserError("scheduler: needs to know how long the training is; set trainer.max_epochs")
    schedule = make(optimizer, **({"total_steps": int(steps)} if takes_length else {}))
    if not isinstance(schedule, dict):
        schedule = {"scheduler": schedule, "interval": "step" if takes_length else "epoch"}
    if isinstance(schedule["scheduler"], ReduceLROnPlateau):  # it can look only when there was a validation
        schedule = {"monitor": "val/loss", "frequency": trainer.check_val_every_n_epoch or 1, **schedule}
    return {"name": "lr", **schedule}


def _each_step(scheduler: LRScheduler) -> Config:
    return {"scheduler": scheduler, "interval": "step"}


def _half_cosine(start: float, end: float, share: float) -> float:
    """From `start` at share 0 to `end` at share 1 and beyond, level at both."""
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, share))) / 2


def constant(optimizer: Optimizer) -> Config:
    """The optimizer's own rate throughout: no schedule, as a choice like the others."""
    return {"scheduler": LambdaLR(optimizer, lambda _: 1.0), "interval": "epoch", "frequency": NEVER}


def step(optimizer: Optimizer, *, every_epochs: int, factor: float) -> Config:
    """Multiply the rate by `factor` every `every_epochs` epochs."""
    return {"scheduler": StepLR(optimizer, every_epochs, factor), "interval": "epoch"}


def cosine(optimizer: Optimizer, total_steps: int, *, warmup_steps: int = 0, final_factor: float = 0.0) -> Config:
    """Rise linearly for `warmup_steps`, then fall along half a cosine to `final_factor` of the rate.

    Source:
        Loshchilov and Hutter 2017, SGDR, equation 5 with one cycle.
    """

    def factor(done: int) -> float:
        if done < warmup_steps:
            return (done + 1) / warmup_steps
        return _half_cosine(1.0, final_factor, (done - warmup_steps) / max(1, total_steps - 1 - warmup_steps))

    return _each_step(LambdaLR(optimizer, factor))


def warmup(optimizer: Optimizer, *, warmup_steps: int) -> Config:
    """Rise linearly to the optimizer's rate within `warmup_steps`, then stay there."""
    return _each_step(LambdaLR(optimizer, lambda done: min(1.0, (done + 1) / max(1, warmup_steps))))


def onecycle(
    optimizer: Optimizer,
    total_steps: int,
    *,
    warmup_share: float = 0.25,
    start_factor: float = 0.04,
    final_factor: float = 4e-6,
) -> Config:
    """Rise along half a cosine from `start_factor` of the rate to all of it, then fall along another to `final_factor`.

    The rise takes `warmup_share` of all steps.

    Source:
        Smith and Topin 2018, Super-convergence; momentum is left alone, unlike in `torch.optim`'s version.
    """
    warmup_steps = round(warmup_share * total_steps)

    def factor(done: int) -> float:
        if done < warmup_steps:
            return _half_cosine(start_factor, 1.0, done / warmup_steps)
        return _half_cosine(1.0, final_factor, (done - warmup_steps) / max(1, total_steps - 1 - warmup_steps))

    return _each_step(LambdaLR(optimizer, factor))


def plateau(
    optimizer: Optimizer,
    *,
    monitor: str = "val/loss",
    mode: str = AUTO,
    factor: float = 0.1,
    patience: int = 5,
) -> Config:
    """Multiply the rate by `factor` once `monitor` has not improved for more than `patience` validations.

    Args:
        optimizer: Whose rate is set.
        monitor: Metric that is to improve.
        mode: Whether it improves by falling, `min`, or by rising, `max`. Defaults to the direction of the metric.
        factor: Of the rate.
        patience: Validations without an improvement that are put up with.

    Raises:
        UserError: The mode is `auto`, and the direction of the metric is unknown.
    """
    kind = mode_of("scheduler.mode", monitor, mode)
    scheduler = ReduceLROnPlateau(optimizer, kind, factor, patience)  # type: ignore[arg-type]
    return {"scheduler": scheduler, "interval": "epoch", "monitor": monitor}
