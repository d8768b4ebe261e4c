"""The learning rate beside the loss: how big the steps are."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from trainer.training.loop.step_logging import is_logged


class LearningRate(Callback):
    """Log each optimizer's rate for the steps whose loss is logged, and in the same row.

    It has its schedule's name, `lr` in most runs; where an optimizer has several groups of parameters, each has its
    own: `lr/pg1`, `lr/pg2`. (Lightning's `LearningRateMonitor` has the same names, and rows of its own.)
    """

    affects_training = False
    skips_steps = True  # those that are not logged; `trainer.training.loop` need not call it there

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if not (trainer.loggers and is_logged(trainer)):
            return
        names = {config.scheduler.optimizer: config.name for config in trainer.lr_scheduler_configs}
        for optimizer in trainer.optimizers:
            name, groups = names.get(optimizer) or f"lr-{type(optimizer).__name__}", optimizer.param_groups
            for number, group in enumerate(groups, start=1):
                pl_module.log(f"{name}/pg{number}" if len(groups) > 1 else name, float(group["lr"]))
