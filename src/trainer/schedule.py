"""Learning-rate schedules that know how long the training is.

Each is a function of the optimizer, and of `total_steps` where the length matters (the task adds both), and
returns what Lightning calls a scheduler config. Any scheduler of `torch.optim.lr_scheduler` can be named by
`_target_` as well; Lightning then steps it once an epoch.
"""

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau, StepLR

Config = dict[str, Any]  # keys of Lightning's lr_scheduler_config


def _each_step(scheduler: LRScheduler) -> Config:
    return {"scheduler": scheduler, "interval": "step"}


def constant(optimizer: Optimizer) -> Config:
    """The optimizer's own rate throughout: no schedule, as a choice like the others."""
    return _each_step(LambdaLR(optimizer, lambda _: 1.0))


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
        share = min(1.0, (done - warmup_steps) / max(1, total_steps - warmup_steps))
        return final_factor + (1 - final_factor) * (1 + math.cos(math.pi * share)) / 2

    return _each_step(LambdaLR(optimizer, factor))


def warmup(optimizer: Optimizer, *, warmup_steps: int) -> Config:
    """Rise linearly to the optimizer's rate within `warmup_steps`, then stay there."""
    return _each_step(LambdaLR(optimizer, lambda done: min(1.0, (done + 1) / max(1, warmup_steps))))


def onecycle(
    optimizer: Optimizer,
    total_steps: int,
    *,
    max_lr: float,
    warmup_share: float = 0.25,
    start_factor: float = 0.04,
    final_factor: float = 4e-6,
) -> Config:
    """Rise from `start_factor` to 1 of `max_lr` in the first `warmup_share` of the steps, then fall along a cosine.

    Source:
        Smith and Topin 2018, Super-convergence; `torch.optim.lr_scheduler.OneCycleLR` with its defaults.
    """
    # OneCycleLR counts the step at which it is made as well, and raises at step total_steps + 1
    scheduler = OneCycleLR(
        optimizer,
        max_lr,
        total_steps=max(2, total_steps),
        pct_start=warmup_share,
        div_factor=1 / start_factor,
        final_div_factor=start_factor / final_factor,
    )
    return _each_step(scheduler)


def plateau(
    optimizer: Optimizer,
    *,
    monitor: str = "val/loss",
    mode: str = "min",
    factor: float = 0.1,
    patience_epochs: int = 5,
) -> Config:
    """Multiply the rate by `factor` once `monitor` has not improved for more than `patience_epochs` epochs."""
    scheduler = ReduceLROnPlateau(optimizer, mode, factor, patience_epochs)  # type: ignore[arg-type]
    return {"scheduler": scheduler, "interval": "epoch", "monitor": monitor}
