"""Interruption of a run by a signal: points between two batches, and errors that the signal has caused."""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined,method-assign"

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytorch_lightning import LightningModule, Trainer

from trainer.core.callback import Callback
from trainer.core.errors import is_dead_worker
from trainer.core.signals import Interrupted, shutdown
from trainer.training.distributed.rank_process import is_lost_connection


@contextmanager
def attribute_to_signal() -> Iterator[None]:
    """Raise `Interrupted` instead of the loss of another process of the run, if all processes received the signal.

    Programs that stop jobs send SIGTERM to all processes, and this one may notice the end of the others first.
    """
    try:
        yield
    except RuntimeError as error:
        if shutdown.signal_number and (is_dead_worker(error) or is_lost_connection(error)):
            raise Interrupted(shutdown.signal_number) from error
        raise


class InterruptionPoints(Callback):
    """Raise `Interrupted` after a batch if a signal was received, in training, validation, test and prediction.

    If a checkpoint can be saved, `trainer.callbacks.checkpoint.Checkpoint` does this instead, at its next safe point.
    """

    skips_steps = True  # `trainer.training.loop` runs without hooks for a tenth of a second at most

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep the signal handlers: those of Lightning raise exceptions, and communicate with the other processes."""
        connector = trainer._signal_connector
        register = type(connector).register_signal_handlers

        def register_and_restore() -> None:
            register(connector)
            shutdown.install_handlers()

        connector.register_signal_handlers = register_and_restore

    def on_train_batch_end(self, *_: Any) -> None:
        shutdown.raise_if_due()

    def on_validation_batch_end(self, *_: Any) -> None:
        shutdown.raise_if_due()

    def on_test_batch_end(self, *_: Any) -> None:
        shutdown.raise_if_due()

    def on_predict_batch_end(self, *_: Any) -> None:
        shutdown.raise_if_due()
