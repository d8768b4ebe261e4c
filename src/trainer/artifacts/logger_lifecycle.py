"""Loggers of any kind: all of them get the config, and what they keep open ends with the run."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import CometLogger, Logger, TensorBoardLogger, WandbLogger


def log_config(trainer: Trainer, config: dict[str, Any]) -> None:
    """Log the config as hyperparameters, with every logger but TensorBoard's, which gets those that were varied.

    Args:
        trainer: Before the training.
        config: Resolved, as plain containers.
    """
    for logger in trainer.loggers:
        if not isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(deepcopy(config))


@contextmanager
def ended(loggers: Sequence[Logger]) -> Iterator[Sequence[Logger]]:
    """End what loggers have opened, however the run ends.

    Lightning leaves the runs of wandb and Comet open, and a logger that is created later in the same process, in the
    next job of a sweep, would log into them.
    """
    try:
        yield loggers
    finally:
        failed = sys.exception() is not None
        for logger in loggers:
            _end(logger, failed=failed)


def _end(logger: Logger, *, failed: bool) -> None:
    opened = vars(logger).get("_experiment")  # the property without the underscore would open it
    if opened is None:
        return
    if isinstance(logger, WandbLogger):
        opened.finish(exit_code=int(failed))
    elif isinstance(logger, CometLogger):
        opened.end()
