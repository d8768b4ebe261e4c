"""Start and end of loggers of any type: log the config, close their runs."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import CometLogger, Logger, TensorBoardLogger, WandbLogger


def log_config(trainer: Trainer, config: dict[str, Any]) -> None:
    """Log the config as hyperparameters with all loggers but TensorBoard's, see `tensorboard_summary`.

    Args:
        trainer: Trainer with the loggers.
        config: Resolved config of plain containers.
    """
    for logger in trainer.loggers:
        if not isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(deepcopy(config))


@contextmanager
def closing_loggers(loggers: Sequence[Logger]) -> Iterator[Sequence[Logger]]:
    """Close the runs of wandb and Comet loggers when the block ends.

    Lightning leaves them open, and a later logger in the same process, in the next job of a sweep, would log into them.
    """
    try:
        yield loggers
    finally:
        failed = sys.exception() is not None
        for logger in loggers:
            _close_logger(logger, failed=failed)


def _close_logger(logger: Logger, *, failed: bool) -> None:
    experiment = vars(logger).get("_experiment")  # the property `experiment` would open it
    if experiment is None:
        return
    if isinstance(logger, WandbLogger):
        experiment.finish(exit_code=int(failed))
    elif isinstance(logger, CometLogger):
        experiment.end()
