"""Progress: one bar for the whole training in a terminal, plain lines where there is none."""

import sys
import time
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from torch import Tensor

SECONDS_BETWEEN_LINES = 10.0


class TrainingProgress(ProgressBar):
    """Show step, epoch, metrics and time left.

    A terminal gets a bar that a thread redraws a few times a second, however short the steps are. Anything
    else (a file, a cluster's log) gets a line at the first epoch's end, at the last's, and between them at
    most every `seconds_between_lines`.

    Args:
        seconds_between_lines: Least time between two plain lines.
    """

    skips_steps = True  # `trainer.loop` may call it after several steps at once

    def __init__(self, *, seconds_between_lines: float = SECONDS_BETWEEN_LINES) -> None:
        super().__init__()
        self.seconds_between_lines = seconds_between_lines
        self._bar: Progress | None = None
        self._row = TaskID(0)
        self._said_at, self._said_step = float("-inf"), -1
        self._enabled = True

    def disable(self) -> None:
        """Be silent; Lightning calls this in all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Speak again."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._said_at, self._said_step = float("-inf"), -1
        if not (self._enabled and sys.stderr.isatty()):
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:>9} steps/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=Console(stderr=True),
            refresh_per_second=4,
        )
        steps = trainer.estimated_stepping_batches
        total = int(steps) if steps != float("inf") else None
        self._row = self._bar.add_task("epoch 1", total=total, completed=trainer.global_step, rate="", metrics="")
        self._began, self._first_step = time.monotonic(), trainer.global_step
        self._bar.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if self._bar:
            self._bar.update(self._row, completed=trainer.global_step)
            if time.monotonic() - self._said_at > 0.25:  # collecting metrics costs more than a tiny step
                self._said_at = time.monotonic()
                self._describe(self._bar, trainer, pl_module, trainer.current_epoch + 1)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._bar:
            self._describe(self._bar, trainer, pl_module, trainer.current_epoch + 1)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._bar and time.monotonic() - self._said_at >= self.seconds_between_lines:
            self._say(trainer, pl_module, trainer.current_epoch + 1)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._bar:
            self._describe(self._bar, trainer, pl_module, trainer.current_epoch)
            self._stop()
        elif trainer.global_step != self._said_step:
            self._say(trainer, pl_module, trainer.current_epoch)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop()

    def _say(self, trainer: Trainer, pl_module: LightningModule, epoch: int) -> None:
        if self._enabled:
            self._said_at, self._said_step = time.monotonic(), trainer.global_step
            place = f"epoch {epoch}/{_or_open(trainer.max_epochs)}  step {trainer.global_step}"
            print(f"{place}  {self._metrics(trainer, pl_module)}", flush=True)

    def _stop(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _describe(self, bar: Progress, trainer: Trainer, pl_module: LightningModule, epoch: int) -> None:
        rate = (trainer.global_step - self._first_step) / max(1e-9, time.monotonic() - self._began)
        bar.update(
            self._row,
            description=f"epoch {epoch}/{_or_open(trainer.max_epochs)}",
            rate=f"{rate:,.0f}",
            metrics=self._metrics(trainer, pl_module),
        )

    def _metrics(self, trainer: Trainer, pl_module: LightningModule) -> str:
        metrics = self.get_metrics(trainer, pl_module)
        return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items() if isinstance(value, float | Tensor))


def _or_open(epochs: int | None) -> str:
    """The number of epochs, or `?` where only steps or time end the training."""
    return str(epochs) if epochs and epochs > 0 else "?"
