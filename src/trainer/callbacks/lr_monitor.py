"""Log of the learning rate."""

from typing import Any

from pytorch_lightning import LightningModule, Trainer

from trainer.core.callback import Callback, StepMetric
from trainer.training.loop.optimizer_names import number_duplicates
from trainer.training.loop.step_logging import is_logging_step


class LRMonitor(Callback):
    """Log the rate of each optimizer for the steps whose loss is logged, in the same row.

    The metric has the name of the schedule, usually `lr`, or else of the optimizer: `lr-Adam`, and `lr-Adam-1` for a
    second one. If an optimizer has several parameter groups, there is one metric for each: `lr/head` by the name of the
    group, or else `lr/pg1` by its number. (Lightning's `LearningRateMonitor` uses the same names, but writes separate
    rows.)
    """

    affects_training = False
    skips_steps = True  # `trainer.training.loop` need not call it in steps that are not logged

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if not (trainer.loggers and is_logging_step(trainer)):
            return
        for name, rate in _read_rates(trainer).items():
            pl_module.log(name, rate)

    def step_metrics(self, trainer: Trainer) -> dict[str, StepMetric]:
        return dict.fromkeys(_read_rates(trainer), "learning rate")


def _read_rates(trainer: Trainer) -> dict[str, float]:
    """Return the rates by the names of their metrics."""
    schedules = {getattr(config.scheduler, "optimizer", None): config.name for config in trainer.lr_scheduler_configs}
    names = [schedules.get(optimizer) or f"lr-{type(optimizer).__name__}" for optimizer in trainer.optimizers]
    rates = {}
    for name, optimizer in zip(number_duplicates(names), trainer.optimizers, strict=True):
        groups = optimizer.param_groups
        labels = number_duplicates([group.get("name", f"pg{number}") for number, group in enumerate(groups, start=1)])
        for label, group in zip(labels, groups, strict=True):
            rates[f"{name}/{label}" if len(groups) > 1 else name] = float(group["lr"])
    return rates
