"""Lengths of schedules, and the events after which they change the learning rate."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from pytorch_lightning import Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from trainer.core.errors import UserError
from trainer.task.schedulers import OPTIONS_ATTRIBUTE, SchedulerConfig, SchedulerFactory

LENGTHS = ("total_steps", "T_max")  # parameters of schedules that are the length of the training


def make_scheduler_config(factory: SchedulerFactory, optimizer: Optimizer, trainer: Trainer) -> SchedulerConfig:
    """Create a schedule, and return how Lightning should step it.

    Args:
        factory: A function of `trainer.task.schedulers`, or a class of `torch.optim.lr_scheduler`; receives the
            optimizer, and the length of the training as `total_steps` or `T_max` if it has this parameter and no value
            for it. An attribute `lightning_options` replaces entries of the result.
        optimizer: Optimizer of the schedule.
        trainer: Trainer that estimates the number of steps.

    Raises:
        UserError: The length matters and is unknown, the interval is invalid, or a plateau schedule has no validation
            at the end of epochs.
    """
    options = getattr(factory, OPTIONS_ATTRIBUTE, {})
    default = "step" if "total_steps" in inspect.signature(factory).parameters else "epoch"
    interval = options.get("interval", default)
    if interval not in ("step", "epoch"):
        raise UserError(f"scheduler.interval: {interval!r} is invalid; expected step or epoch")
    schedule = _create_schedule(factory, optimizer, lambda: _count(trainer, interval))
    if not isinstance(schedule, dict):
        schedule = {"scheduler": schedule, **getattr(schedule, OPTIONS_ATTRIBUTE, {"interval": interval}), **options}
    if isinstance(schedule["scheduler"], ReduceLROnPlateau):  # its metric only exists after a validation
        epochs = trainer.check_val_every_n_epoch
        schedule = {"monitor": "val/loss", "interval": "epoch", "frequency": epochs or 1, **schedule}
        if epochs is None and schedule["interval"] == "epoch" and not schedule["monitor"].startswith("train/"):
            raise UserError(
                f"trainer.check_val_every_n_epoch: with null, an epoch may end without {schedule['monitor']}, which the"
                " scheduler requires; expected a number of epochs"
            )
    return {"name": "lr", **schedule}


def _create_schedule(factory: SchedulerFactory, optimizer: Optimizer, count: Callable[[], int]) -> Any:
    """Return the result of a factory with the length of the training, and with the schedules that it combines.

    Args:
        factory: Factory of a schedule; a partial one may have an argument `schedulers` with other factories.
        optimizer: Optimizer of the schedule.
        count: Function that returns the length.

    Raises:
        UserError: The schedule would replace the rates of parameter groups by one.
    """
    keywords: dict[str, Any] = getattr(factory, "keywords", {})
    parameters = inspect.signature(factory).parameters
    rates = {float(group["lr"]) for group in optimizer.param_groups}
    if len(rates) > 1 and isinstance(keywords.get("max_lr"), int | float):
        problem = f"one rate for parameter groups with {len(rates)} rates"
        raise UserError(f"scheduler.max_lr: {problem}; expected a list, or scheduler=onecycle")
    arguments: dict[str, Any] = {name: count() for name in LENGTHS if name in parameters and name not in keywords}
    if keywords.get("steps_per_epoch"):  # `OneCycleLR` multiplies it by `epochs`
        arguments.pop("total_steps", None)
    if "schedulers" in keywords:
        arguments["schedulers"] = _create_parts(keywords, optimizer, count)
    return factory(optimizer=optimizer, **arguments) if "optimizer" in parameters else factory(optimizer, **arguments)


def _create_parts(keywords: dict[str, Any], optimizer: Optimizer, count: Callable[[], int]) -> list[Any]:
    """Return the schedules of the factories in `schedulers`, each with its length."""
    starts = [0, *keywords.get("milestones", [0] * (len(keywords["schedulers"]) - 1))]
    ends = [*starts[1:], None] if "milestones" in keywords else [None] * len(starts)
    return [  # the class of the combined schedule compares the lengths of the lists
        _create_schedule(part, optimizer, partial(_count_between, start, end, count))
        for part, start, end in zip(keywords["schedulers"], starts, ends, strict=False)
    ]


def _count_between(start: int, end: int | None, count: Callable[[], int]) -> int:
    return max(1, (count() if end is None else end) - start)  # a short trial may end before


def _count(trainer: Trainer, interval: str) -> int:
    """Return the length of a training in steps or epochs."""
    length: Any = trainer.estimated_stepping_batches if interval == "step" else trainer.max_epochs
    if length in (None, -1, float("inf")):
        raise UserError("scheduler: the length of the training is unknown; set trainer.max_epochs")
    return int(length)
