"""Progress: a live view of the whole training in a terminal, plain lines where there is none."""

import sys
import time
from collections.abc import Iterator
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from torch import Tensor

from trainer.callbacks.live_display import LiveView

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_LOOKS = 0.25  # at the metrics, for the live view: collecting them costs more than a tiny step


class TrainingProgress(ProgressBar):
    """Show step, epoch, metrics and time left.

    A terminal gets a bar and a table of metrics with their curves and the best so far, which a thread redraws a few
    times a second, however short the steps are. Anything else (a file, a cluster's log) gets a line at the end of the
    first epoch and of the last, and between them at most every `seconds_between_lines`.

    Args:
        seconds_between_lines: Least time between two plain lines.
        live: Whether a terminal gets the live view; false: lines everywhere.
    """

    affects_training = False
    skips_steps = True  # `trainer.training.loop` may call it after several steps at once

    def __init__(self, *, seconds_between_lines: float = SECONDS_BETWEEN_LINES, live: bool = True) -> None:
        super().__init__()
        self.seconds_between_lines, self.live = seconds_between_lines, live
        self._view: LiveView | None = None
        self._said_at, self._said_step = float("-inf"), -1
        self._looks_at = float("-inf")
        self._enabled = True

    def disable(self) -> None:
        """Be silent; Lightning calls this in all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Speak again."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._said_at, self._said_step, self._looks_at = float("-inf"), -1, float("-inf")
        if self.live and self._enabled and sys.stderr.isatty():
            steps = trainer.estimated_stepping_batches
            total = int(steps) if steps != float("inf") else None
            self._view = LiveView(Console(stderr=True), total, trainer.global_step)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if self._view and time.monotonic() >= self._looks_at:
            self._look(self._view, trainer, pl_module, trainer.current_epoch + 1, of_training=True)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._view and not trainer.sanity_checking:
            self._look(self._view, trainer, pl_module, trainer.current_epoch + 1, of_training=False)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._view and time.monotonic() - self._said_at >= self.seconds_between_lines:
            self._say(trainer, pl_module, trainer.current_epoch + 1)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._view:
            self._look(self._view, trainer, pl_module, trainer.current_epoch, of_training=True)
            self._stop()
        elif trainer.global_step != self._said_step:
            self._say(trainer, pl_module, trainer.current_epoch)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._view:
            self._view.tell(_place(trainer, trainer.current_epoch + 1), trainer.global_step)
        self._stop()

    def _say(self, trainer: Trainer, pl_module: LightningModule, epoch: int) -> None:
        if self._enabled:
            self._said_at, self._said_step = time.monotonic(), trainer.global_step
            told = "  ".join(f"{name} {value:.4g}" for name, value in self._metrics(trainer, pl_module))
            print(f"{_place(trainer, epoch)}  step {trainer.global_step}  {told}", flush=True)

    def _look(
        self, view: LiveView, trainer: Trainer, pl_module: LightningModule, epoch: int, *, of_training: bool
    ) -> None:
        """Tell the view how far it is, and the metrics of training or of validation: the others are as they were."""
        self._looks_at = time.monotonic() + SECONDS_BETWEEN_LOOKS
        view.tell(_place(trainer, epoch), trainer.global_step)
        found = self._metrics(trainer, pl_module)
        view.note((name, value) for name, value in found if name.startswith("train/") == of_training)

    def _metrics(self, trainer: Trainer, pl_module: LightningModule) -> Iterator[tuple[str, float]]:
        for name, value in self.get_metrics(trainer, pl_module).items():
            if isinstance(value, float | Tensor):
                yield name, float(value)

    def _stop(self) -> None:
        if self._view:
            self._view.stop()
            self._view = None


def _place(trainer: Trainer, epoch: int) -> str:
    """Which epoch of how many; `?` where only steps or time end the training."""
    epochs = trainer.max_epochs
    return f"epoch {epoch}/{epochs if epochs and epochs > 0 else '?'}"
