"""Start and end of loggers of any type: log the config, close their runs."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import CometLogger, CSVLogger, Logger, TensorBoardLogger, WandbLogger

from trainer.artifacts.trackers.base import Tracker
from trainer.core.errors import Pruned


def log_config(trainer: Trainer, config: dict[str, Any], swept: dict[str, Any]) -> None:
    """Log the config as hyperparameters with all loggers but TensorBoard's, see `tensorboard_summary`.

    Args:
        trainer: Trainer with the loggers.
        config: Resolved config of plain containers.
        swept: Swept values by key, logged as `hparams` in addition to the config; empty if nothing was swept.
    """
    params = config | ({"hparams": swept} if swept else {})
    for logger in trainer.loggers:
        if not isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(deepcopy(params))


def log_best_metrics(trainer: Trainer, metrics: Mapping[str, float]) -> None:
    """Log the metrics of the best checkpoint with all loggers but TensorBoard's and CSV files."""
    best = {name: value for name, value in metrics.items() if name.endswith("_best")}
    for logger in trainer.loggers:
        if best and not isinstance(logger, TensorBoardLogger | CSVLogger):
            logger.log_metrics(best, trainer.global_step)


@contextmanager
def closing_loggers(loggers: Sequence[Logger]) -> Iterator[Sequence[Logger]]:
    """Close the runs of wandb, Comet and other trackers when the block ends.

    Lightning leaves those of wandb and Comet open, and a later logger in the same process, in the next job of a sweep,
    would log into them. It does not log a failure that occurs outside of its loops.
    """
    try:
        yield loggers
    finally:
        failed = not isinstance(sys.exception(), Pruned | None)
        for logger in loggers:
            _close_logger(logger, failed=failed)


def _close_logger(logger: Logger, *, failed: bool) -> None:
    if isinstance(logger, Tracker):
        logger.finalize("failed" if failed else "success")
    experiment = vars(logger).get("_experiment")  # the property `experiment` would open it
    if experiment is None:
        return
    if isinstance(logger, WandbLogger):
        experiment.finish(exit_code=int(failed))
    elif isinstance(logger, CometLogger):
        experiment.end()
