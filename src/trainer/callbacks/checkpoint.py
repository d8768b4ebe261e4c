"""Checkpoint: Lightning's, at moments from which a training goes on exactly, in files that a crash leaves whole."""
# Lightning gives its objects more than it declares
# mypy: disable-error-code="attr-defined"

import logging
import time
from contextlib import suppress
from inspect import Signature, signature
from pathlib import Path
from typing import Any, get_type_hints

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor

from trainer.artifacts import loggers
from trainer.artifacts.checkpoint_io import keep_as, seal_checkpoints
from trainer.artifacts.resume import PREVIOUS, found_in
from trainer.core.errors import UserError
from trainer.core.metric_direction import AUTO, mode_of
from trainer.core.signals import Interrupted, answer_signals, stop
from trainer.training.loop import training_state
from trainer.training.loop.safe_points import AT_ONCE, NEVER, Place, boundary_of
from trainer.training.loop.training_state import State, Weights

SECONDS_BETWEEN_WRITES = 1.0
SHARE_OF_TIME = 0.05  # that writing the last state may take, where epochs are shorter than a write

log = logging.getLogger(__name__)


class Checkpoint(ModelCheckpoint):
    """Save the best and the last state of a training; takes the arguments of Lightning's `ModelCheckpoint` as well.

    Files are written at safe points, where no batch and no validation is incomplete: a training that resumes from one
    continues as if it had never stopped. (If a callback changes the weights at the end of an epoch, a best state
    contains the validated ones.) The last state is saved at the end of an epoch, every `every_minutes` within one,
    if the run is told to stop, and at the end. The file before it is kept as `previous.ckpt`.

    A best state stays in memory until a second after its file was last written. The last state is written at most once
    a second, and takes at most a twentieth of the time. Best states are never written later than the last one.

    Args:
        every_minutes: How often the last state is written within a long epoch; greater than 0.
        monitor: Metric that the best is chosen by; None keeps the last.
        mode: `min` or `max`. Defaults to the direction of the metric, where that is known.
        **more: Of `ModelCheckpoint`.
    """

    affects_training = True

    def __init__(self, *, every_minutes: float = 10, monitor: str | None = None, mode: str = AUTO, **more: Any) -> None:
        if every_minutes <= 0:
            raise UserError(f"callbacks.checkpoint.every_minutes: {every_minutes} is not greater than 0")
        kind = "min" if monitor is None else mode_of("callbacks.checkpoint.mode", monitor, mode)
        super().__init__(monitor=monitor, mode=kind, **more)
        self.every_minutes = every_minutes
        self._held: dict[str, dict[str, Any]] = {}  # checkpoints by path, not yet written
        self._due: dict[str, Weights | None] = {}  # paths to be filled at the next boundary; other weights than then
        self._validated: Weights | None = None  # of the last validation, if others may follow before a boundary
        self._written: dict[str, float] = {}  # when each path was
        self._seconds = 0.0  # that the last write of the last state took
        self._ended = False  # the state that the training ends with is written
        self._state: State | None = None  # that this training goes on from

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage != "fit":
            return
        seal_checkpoints(trainer)
        self.boundary = boundary_of(trainer)
        self.boundary.reached = lambda place: self._keep(trainer, place)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        state: State | None = checkpoint.get("resume")
        if trainer.state.fn != "fit" or state is None:
            return
        self._state = state
        training_state.go_on_from(trainer, state)
        if state["should_stop"] and state["limits"] == training_state.limits(trainer):
            trainer.should_stop = True

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what is known of the best; files of a directory that was moved are found where they are now."""
        super().load_state_dict(found_in(Path(self.dirpath or ""), state_dict))

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._state:
            training_state.show_again(trainer, self._state)  # also where there is nothing left to train

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._began = time.monotonic()
        self._plan(trainer)
        if not trainer.fast_dev_run and self.save_last:
            answer_signals()  # in place of Lightning, which would leave without saving
            if _alone(trainer):  # several processes would have to agree on a step
                stop.wait = self._hurry

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *more: Any) -> None:
        super().on_train_batch_end(trainer, pl_module, *more)
        if self._due:
            self._hurry()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = training_state.validated_weights(trainer) if self.monitor else None
        super().on_validation_end(trainer, pl_module)
        if self._due:
            self._hurry()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        stop.wait = None
        if not self._ended and not trainer.fast_dev_run:
            super()._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
        self._fill(trainer, None)
        self.write(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        stop.wait = None
        with suppress(UserError):  # a disk may be full
            self.write(trainer)
        super().on_exception(trainer, pl_module, exception)

    def write(self, trainer: Trainer) -> None:
        """Write what is held."""
        held, self._held = self._held, {}
        for path, checkpoint in held.items():
            trainer.strategy.save_checkpoint(checkpoint, path)

    def _keep(self, trainer: Trainer, place: Place) -> None:
        """At a boundary: write or hold all that is to be kept, and leave if the run is to stop.

        Raises:
            Interrupted: After saving, where a signal asked for it.
        """
        if trainer.fast_dev_run:
            return
        fit = trainer.fit_loop
        ends = fit.done if place == "epoch" else fit.epoch_loop._is_training_done
        if not self._ended and (stop.asked or ends or self._last_is_due(trainer, place)):
            super()._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
            self._ended = ends
        self._fill(trainer, place)
        self._validated = None
        self._plan(trainer)
        if stop.asked:
            self.write(trainer)
            raise Interrupted(stop.asked)

    def _last_is_due(self, trainer: Trainer, place: Place) -> bool:
        if place == "step":
            return _alone(trainer) and time.monotonic() >= self._next_within()
        since = time.monotonic() - self._written.get(self.last_model_path, NEVER * -1)
        return not trainer.strategy.broadcast(since < max(SECONDS_BETWEEN_WRITES, self._seconds / SHARE_OF_TIME))

    def _plan(self, trainer: Trainer) -> None:
        """When the next step boundary matters."""
        self.boundary.due_at = self._next_within() if self.save_last and _alone(trainer) else NEVER

    def _next_within(self) -> float:
        return self._written.get(self.last_model_path, self._began) + 60 * self.every_minutes

    def _hurry(self) -> None:
        self.boundary.due_at = AT_ONCE

    def _fill(self, trainer: Trainer, place: Place | None) -> None:
        """Write or hold what was decided to be kept.

        Args:
            trainer: Whose state it is.
            place: The boundary; None where there is none, and Lightning's own state must do.
        """
        due, self._due = self._due, {}
        if not due:
            return
        last = self.last_model_path if self.last_model_path in due else None
        checkpoint = self._checkpoint(trainer, place, with_logs=last is not None)
        for path, weights in due.items():
            if path == last:
                continue
            content = checkpoint if weights is None else {**checkpoint, "state_dict": weights}
            if _alone(trainer) and time.monotonic() - self._written.get(path, NEVER * -1) < SECONDS_BETWEEN_WRITES:
                self._held[path] = training_state.as_it_is(content)
            else:
                self._held.pop(path, None)
                trainer.strategy.save_checkpoint(content, path)
                self._written[path] = time.monotonic()
        if last:
            self.write(trainer)
            began = time.monotonic()
            if trainer.is_global_zero and Path(last).is_file():
                keep_as(Path(last), Path(last).with_name(PREVIOUS))
            trainer.strategy.save_checkpoint(checkpoint, last)
            self._written[last] = time.monotonic()
            self._seconds = self._written[last] - began

    def _checkpoint(self, trainer: Trainer, place: Place | None, *, with_logs: bool) -> dict[str, Any]:
        """Lightning's checkpoint, and all else that a training goes on from."""
        checkpoint = trainer._checkpoint_connector.dump_checkpoint(self.save_weights_only)
        if self.save_weights_only or place is None:
            return checkpoint
        checkpoint["resume"] = training_state.state_at(place, trainer) | {"torch": str(torch.__version__)}
        if place == "epoch":  # the next one begins at its beginning, also if this one was cut short
            checkpoint["loops"]["fit_loop"]["state_dict"].pop("combined_loader", None)
        if with_logs:
            if log_of_steps := getattr(trainer.fit_loop.epoch_loop, "step_log", None):
                log_of_steps.write()
            for logger in trainer.loggers:
                logger.save()
            checkpoint["resume"]["logs"] = loggers.position(Path(trainer.default_root_dir))
        return checkpoint

    def _monitor_candidates(self, trainer: Trainer) -> dict[str, Tensor]:
        """What Lightning says, without a deep copy of each number: none of them is ever changed in place."""
        metrics = dict(trainer.callback_metrics)
        for name, value in {"epoch": trainer.current_epoch, "step": trainer.global_step}.items():
            logged = metrics.get(name)
            metrics[name] = torch.tensor(value) if logged is None else logged.int()
        return metrics

    def _save_last_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, Any]) -> None:
        """Not when Lightning would: at each boundary `_keep` decides."""

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        self._due[filepath] = self._validated
        if filepath != self.last_model_path:
            self._last_global_step_saved, self._last_checkpoint_saved = trainer.global_step, filepath

    def _remove_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        self._due.pop(filepath, None)
        self._held.pop(filepath, None)
        super()._remove_checkpoint(trainer, filepath)


# preflight reads names and types from here: a misspelt argument is told, whichever class takes it
_OWN = signature(Checkpoint).parameters
_ARGUMENTS = {**_OWN, **signature(ModelCheckpoint).parameters, **_OWN}
Checkpoint.__signature__ = Signature(
    [one.replace(kind=one.KEYWORD_ONLY) for name, one in _ARGUMENTS.items() if name != "more"]
)
Checkpoint.__init__.__annotations__ |= get_type_hints(ModelCheckpoint.__init__)


def _alone(trainer: Trainer) -> bool:
    return type(trainer.strategy) is SingleDeviceStrategy
