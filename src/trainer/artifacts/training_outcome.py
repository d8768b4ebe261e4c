"""Reason for the early stop of a training, and monitored metrics that were not finite."""

import logging
import math
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, Timer
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason
from pytorch_lightning.utilities import rank_zero_only

from trainer.core.callback import Callback
from trainer.core.formatting import format_number
from trainer.core.mappings import group_pairs

log = logging.getLogger(__name__)


class TrainingOutcome(Callback):
    """Count the epochs in which a monitored metric is not finite, and warn at the first one.

    Checkpoints, early stopping and schedulers treat such a value as a bad one without a message.
    """

    def __init__(self) -> None:
        self.nonfinite_epochs: dict[str, int] = {}  # epochs by metric
        self.outcome: dict[str, Any] = {}  # set at the end of the training; a test may load an older state

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics = trainer.callback_metrics
        for name, users in find_monitored_metrics(trainer).items():
            value = metrics.get(name)
            if value is None or math.isfinite(value):
                continue
            if name not in self.nonfinite_epochs:
                _warn(f"{name} is {float(value)} at epoch {trainer.current_epoch + 1}: {users} cannot compare it")
            self.nonfinite_epochs[name] = self.nonfinite_epochs.get(name, 0) + 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        reason = _find_stop_reason(trainer)
        message = reason and f"stopped early at epoch {max(1, trainer.current_epoch)}: {reason}"
        self.outcome = {"stop_reason": message, "not_finite_epochs": dict(self.nonfinite_epochs)}

    def state_dict(self) -> dict[str, Any]:
        return {"not_finite": dict(self.nonfinite_epochs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.nonfinite_epochs = dict(state_dict["not_finite"])


_warn = rank_zero_only(log.warning)


def find_monitored_metrics(trainer: Trainer) -> dict[str, str]:
    """Return the metrics that callbacks and schedulers monitor, each with the names of its users."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    users = [(getattr(callback, "monitor", None), type(callback).__name__) for callback in callbacks]
    users += [(config.monitor, "the scheduler") for config in trainer.lr_scheduler_configs if config.reduce_on_plateau]
    named = [(name, user) for name, user in users if isinstance(name, str)]
    return {name: " and ".join(names) for name, names in group_pairs(named).items()}


def read_training_outcome(trainer: Trainer) -> dict[str, Any]:
    """Return the entries of `result.json` about the end of a training.

    Returns:
        dict: `stop_reason`, None if the training was not stopped early; `not_finite_epochs`, the number of epochs in
        which a monitored metric was not finite, by metric. Empty if there was no training.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, TrainingOutcome) and callback.outcome:
            return callback.outcome
    empty = trainer.limit_train_batches == 0 or trainer.fit_loop.max_batches == 0
    return {"stop_reason": "not trained: there are no training batches", "not_finite_epochs": {}} if empty else {}


def _find_stop_reason(trainer: Trainer) -> str | None:
    if not trainer.should_stop:
        return None
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, EarlyStopping) and callback.stopping_reason is not EarlyStoppingReason.NOT_STOPPED:
            return _describe_early_stopping(callback)
        if isinstance(callback, Timer) and (callback.time_remaining() or 1) <= 0:
            return "trainer.max_time was reached"
    return "trainer.should_stop was set"


def _describe_early_stopping(callback: EarlyStopping) -> str:
    name = callback.monitor
    if callback.stopping_reason is EarlyStoppingReason.NON_FINITE_METRIC:
        return f"{name} is not finite"
    if callback.stopping_reason is EarlyStoppingReason.PATIENCE_EXHAUSTED:
        unit = "epoch" if callback._check_on_train_epoch_end else "validation"
        plural = "s" if callback.wait_count > 1 else ""
        best = float(callback.best_score)
        return f"{name} did not improve for {callback.wait_count} {unit}{plural} (best: {format_number(best)})"
    return str(callback.stopping_reason_message).removesuffix(" Signaling Trainer to stop.")
