"""Checkpoint callback that saves at safe points, from which a training resumes exactly, and writes files atomically."""
# Lightning objects have attributes that are not declared
# mypy: disable-error-code="attr-defined"

import time
from contextlib import suppress
from inspect import Signature, signature
from pathlib import Path
from typing import Any, get_type_hints

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.strategies import SingleDeviceStrategy

from trainer.artifacts import loggers
from trainer.artifacts.checkpoint_io import install_checkpoint_io, link_or_move
from trainer.artifacts.resume import PREVIOUS_CHECKPOINT, relocate_checkpoint_state
from trainer.callbacks.default_monitor import DefaultMonitorCheckpoint
from trainer.core.errors import UserError
from trainer.core.metric_direction import AUTO, resolve_mode
from trainer.core.signals import Interrupted, shutdown
from trainer.training.fused.current import count_runs
from trainer.training.loop import training_state
from trainer.training.loop.safe_points import IMMEDIATELY, NEVER, SafePointKind, install_safe_points
from trainer.training.loop.training_state import State, Weights

SECONDS_BETWEEN_WRITES = 1.0
MAX_WRITE_TIME_FRACTION = 0.05  # of the training time, for writing the last state


class Checkpoint(DefaultMonitorCheckpoint):
    """Save the best and the last state of a training. Accepts the arguments of Lightning's `ModelCheckpoint` as well.

    Files are written at safe points, where no batch and no validation is incomplete: a training that resumes from one
    continues as if it had never stopped. (If a callback changes the weights at the end of an epoch, a best state
    contains the validated ones.) The last state is saved at the end of an epoch, every `every_minutes` within one,
    if the run is interrupted, and at the end. The previous file is kept as `previous.ckpt`.

    A best state stays in memory until a second after its file was last written. The last state is written at most once
    a second, and takes at most a twentieth of the time. Best states are never written later than the last one. If the
    process trains several runs at a time, these limits apply to all of them together.

    Args:
        every_minutes: Time between two writes of the last state within a long epoch; greater than 0.
        monitor: Metric that selects the best state; None saves only the last one. If `val/loss` is not logged, another
            name of the validation loss replaces it, or none.
        mode: `min` or `max`. Defaults to the direction of the metric, if it is known.
        **kwargs: Arguments of `ModelCheckpoint`.
    """

    affects_training = True

    def __init__(
        self, *, every_minutes: float = 10, monitor: str | None = None, mode: str = AUTO, **kwargs: Any
    ) -> None:
        if every_minutes <= 0:
            raise UserError(f"callbacks.checkpoint.every_minutes: {every_minutes} is not greater than 0")
        direction = "min" if monitor is None else resolve_mode("callbacks.checkpoint.mode", monitor, mode)
        super().__init__(monitor=monitor, mode=direction, **kwargs)
        self.every_minutes = every_minutes
        self._unwritten: dict[str, dict[str, Any]] = {}  # checkpoints in memory, by path
        # paths to save at the next safe point, and their weights if these may change until then
        self._requested: dict[str, Weights | None] = {}
        self._validated_weights: Weights | None = None  # if they may change before the next safe point
        self._written_at: dict[str, float] = {}  # time of the last write, by path
        self._last_write_seconds = 0.0  # duration of the last write of the last state, and of best states with it
        self._is_final_saved = False  # the final state of the training is saved
        self._resume_state: State | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage != "fit":
            return
        install_checkpoint_io(trainer)
        self._safe_points = install_safe_points(trainer)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        state: State | None = checkpoint.get("resume")
        if trainer.state.fn != "fit" or state is None:
            return
        self._resume_state = state
        training_state.resume_from(trainer, state)
        if state["should_stop"] and state["limits"] == training_state.read_limits(trainer):
            trainer.should_stop = True

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore scores and paths of the best states; paths are adapted if the run directory was moved."""
        super().load_state_dict(relocate_checkpoint_state(Path(self.dirpath or ""), state_dict))

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._resume_state:  # also if the training is already complete
            training_state.restore_shown_metrics(trainer, self._resume_state)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._started_at = time.monotonic()
        # not earlier: a callback such as `LearningRateFinder` trains for some steps before the training
        self._safe_points.on_safe_point = lambda kind: self._on_safe_point(trainer, kind)
        self._schedule_next_save(trainer)
        # several processes would have to agree on a step
        if self.save_last and not trainer.fast_dev_run and _is_single_device(trainer):
            shutdown.save_by(self._request_safe_point)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        super().on_train_batch_end(trainer, pl_module, *args)
        if self._requested:
            self._request_safe_point()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated_weights = training_state.copy_validated_weights(trainer) if self.monitor else None
        super().on_validation_end(trainer, pl_module)
        if self._requested:
            self._request_safe_point()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        shutdown.on_signal = None
        if not self._is_final_saved and not trainer.fast_dev_run:
            super()._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
        self._save_requested(trainer, None)
        self.write(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        shutdown.on_signal = None
        with suppress(UserError):  # e.g. the disk is full
            self.write(trainer)
        super().on_exception(trainer, pl_module, exception)

    def write(self, trainer: Trainer) -> None:
        """Write all checkpoints that are still in memory."""
        checkpoints, self._unwritten = self._unwritten, {}
        for path, checkpoint in checkpoints.items():
            trainer.strategy.save_checkpoint(checkpoint, path)

    def _on_safe_point(self, trainer: Trainer, kind: SafePointKind) -> None:
        """Save everything that is due, and stop if a signal has requested it.

        Raises:
            Interrupted: A signal was received; raised after saving.
        """
        if trainer.fast_dev_run:
            return
        shutdown.raise_if_due()  # nothing is saved after a second signal, or by one of several processes
        signal_number = shutdown.signal_number if shutdown.on_signal else 0
        fit = trainer.fit_loop
        is_final = fit.done if kind == "epoch" else fit.epoch_loop._is_training_done
        if not self._is_final_saved and (signal_number or is_final or self._is_last_due(trainer, kind)):
            super()._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
            self._is_final_saved = is_final
        self._save_requested(trainer, kind)
        self._validated_weights = None
        self._schedule_next_save(trainer)
        if signal_number:
            self.write(trainer)
            raise Interrupted(signal_number)

    def _is_last_due(self, trainer: Trainer, kind: SafePointKind) -> bool:
        if kind == "step":
            return _is_single_device(trainer) and time.monotonic() >= self._next_save_at()
        write_seconds = count_runs() * self._last_write_seconds
        pause = max(SECONDS_BETWEEN_WRITES, write_seconds / MAX_WRITE_TIME_FRACTION)
        return not trainer.strategy.broadcast(self._seconds_since_write(self.last_model_path) < pause)

    def _seconds_since_write(self, path: str) -> float:
        return time.monotonic() - self._written_at.get(path, float("-inf"))

    def _schedule_next_save(self, trainer: Trainer) -> None:
        self._safe_points.due_at = self._next_save_at() if self.save_last and _is_single_device(trainer) else NEVER

    def _next_save_at(self) -> float:
        return self._written_at.get(self.last_model_path, self._started_at) + 60 * self.every_minutes

    def _request_safe_point(self) -> None:
        self._safe_points.due_at = IMMEDIATELY

    def _save_requested(self, trainer: Trainer, kind: SafePointKind | None) -> None:
        """Write the requested checkpoints, or keep them in memory if their files were just written.

        Outside of a safe point (`kind` is None) only Lightning's own state is saved.
        """
        requested, self._requested = self._requested, {}
        if not requested:
            return
        started_at = time.monotonic()
        last = self.last_model_path if self.last_model_path in requested else None
        checkpoint = self._dump_checkpoint(trainer, kind, with_logs=last is not None)
        for path, weights in requested.items():
            if path == last:
                continue
            content = checkpoint if weights is None else {**checkpoint, "state_dict": weights}
            if _is_single_device(trainer) and self._seconds_since_write(path) < count_runs() * SECONDS_BETWEEN_WRITES:
                self._unwritten[path] = training_state.copy_checkpoint(content)
            else:
                self._unwritten.pop(path, None)
                trainer.strategy.save_checkpoint(content, path)
                self._written_at[path] = time.monotonic()
        if last:
            self.write(trainer)
            if trainer.is_global_zero and Path(last).is_file():
                link_or_move(Path(last), Path(last).with_name(PREVIOUS_CHECKPOINT))
            trainer.strategy.save_checkpoint(checkpoint, last)
            self._written_at[last] = time.monotonic()
            self._last_write_seconds = self._written_at[last] - started_at

    def _dump_checkpoint(self, trainer: Trainer, kind: SafePointKind | None, *, with_logs: bool) -> dict[str, Any]:
        """Return Lightning's checkpoint with all further state that an exact resume needs."""
        checkpoint = trainer._checkpoint_connector.dump_checkpoint(self.save_weights_only)
        if self.save_weights_only or kind is None:
            return checkpoint
        checkpoint["resume"] = training_state.capture_state(kind, trainer) | {"torch": str(torch.__version__)}
        if kind == "epoch":  # the next epoch starts with its first batch, also if this one was cut short
            checkpoint["loops"]["fit_loop"]["state_dict"].pop("combined_loader", None)
        if with_logs:
            if step_log := getattr(trainer.fit_loop.epoch_loop, "step_log", None):
                step_log.write()
            for logger in trainer.loggers:
                logger.save()
            checkpoint["resume"]["logs"] = loggers.read_log_position(Path(trainer.default_root_dir))
        return checkpoint

    def _save_last_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, Any]) -> None:
        """Do nothing: `_on_safe_point` saves the last state instead of Lightning."""

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        self._requested[filepath] = self._validated_weights
        if filepath != self.last_model_path:
            self._last_global_step_saved = trainer.global_step
            self._last_checkpoint_saved = filepath

    def _remove_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        self._requested.pop(filepath, None)
        self._unwritten.pop(filepath, None)
        super()._remove_checkpoint(trainer, filepath)


# preflight checks the names and types of arguments against this signature
_OWN_PARAMETERS = signature(Checkpoint).parameters
_ALL_PARAMETERS = {**_OWN_PARAMETERS, **signature(ModelCheckpoint).parameters, **_OWN_PARAMETERS}
Checkpoint.__signature__ = Signature(
    [parameter.replace(kind=parameter.KEYWORD_ONLY) for name, parameter in _ALL_PARAMETERS.items() if name != "kwargs"]
)
Checkpoint.__init__.__annotations__ |= get_type_hints(ModelCheckpoint.__init__)


def _is_single_device(trainer: Trainer) -> bool:
    return type(trainer.strategy) is SingleDeviceStrategy
