"""Outcome of a training: why it stopped early, and which monitored metrics could not be compared."""

import logging
import math
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, Timer
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason
from pytorch_lightning.utilities import rank_zero_only

log = logging.getLogger(__name__)


class Monitors(Callback):
    """Count the epochs in which a monitored metric is not finite, and warn at the first one.

    A checkpoint, an early stop or a schedule that compares such a value takes it for a bad one without a message.
    """

    def __init__(self) -> None:
        self.not_finite: dict[str, int] = {}  # epochs by metric
        self.outcome: dict[str, Any] = {}  # once the training has ended; the test may load a state from before

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics = trainer.callback_metrics
        for name, users in monitored(trainer).items():
            value = metrics.get(name)
            if value is None or math.isfinite(value):
                continue
            if name not in self.not_finite:
                _warn(f"{name} is {float(value)} at epoch {trainer.current_epoch + 1}: {users} cannot compare it")
            self.not_finite[name] = self.not_finite.get(name, 0) + 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        reason = _reason(trainer)
        told = reason and f"stopped early at epoch {max(1, trainer.current_epoch)}: {reason}"
        self.outcome = {"stop_reason": told, "not_finite_epochs": dict(self.not_finite)}

    def state_dict(self) -> dict[str, Any]:
        return {"not_finite": dict(self.not_finite)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.not_finite = dict(state_dict["not_finite"])


_warn = rank_zero_only(log.warning)


def monitored(trainer: Trainer) -> dict[str, str]:
    """Return the metrics that callbacks and schedules wait for, each with who does."""
    found: dict[str, list[str]] = {}
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(name := getattr(callback, "monitor", None), str):
            found.setdefault(name, []).append(type(callback).__name__)
    for config in trainer.lr_scheduler_configs:
        if config.reduce_on_plateau and config.monitor:
            found.setdefault(config.monitor, []).append("the scheduler")
    return {name: " and ".join(users) for name, users in found.items()}


def outcome(trainer: Trainer) -> dict[str, Any]:
    """Return what `result.json` says of the end of a training.

    Returns:
        dict: `stop_reason`, None if the training was as long as it was to be; `not_finite_epochs`, the number of epochs
        in which a monitored metric was not finite, by metric. Empty if there was no training.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Monitors) and callback.outcome:
            return callback.outcome
    empty = trainer.limit_train_batches == 0 or trainer.fit_loop.max_batches == 0
    return {"stop_reason": "not trained: there are no training batches", "not_finite_epochs": {}} if empty else {}


def _reason(trainer: Trainer) -> str | None:
    if not trainer.should_stop:
        return None
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, EarlyStopping) and callback.stopping_reason is not EarlyStoppingReason.NOT_STOPPED:
            return _of_early_stopping(callback)
        if isinstance(callback, Timer) and (callback.time_remaining() or 1) <= 0:
            return "trainer.max_time is over"
    return "trainer.should_stop was set"


def _of_early_stopping(callback: EarlyStopping) -> str:
    name, best = callback.monitor, float(callback.best_score)
    if callback.stopping_reason is EarlyStoppingReason.NON_FINITE_METRIC:
        return f"{name} is not finite"
    if callback.stopping_reason is EarlyStoppingReason.PATIENCE_EXHAUSTED:
        times = "epoch" if callback._check_on_train_epoch_end else "validation"
        plural = "s" if callback.wait_count > 1 else ""
        return f"{name} did not improve for {callback.wait_count} {times}{plural} (best: {best:.4g})"
    return str(callback.stopping_reason_message).removesuffix(" Signaling Trainer to stop.")
