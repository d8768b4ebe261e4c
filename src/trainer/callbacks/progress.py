"""Progress output, live in a terminal or a notebook and as plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from torch import Tensor

from trainer.callbacks.live_display import LiveDisplay
from trainer.core.formatting import format_duration, format_number
from trainer.core.metric_name import MetricName

EVALUATIONS = ("val", "test")
SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_UPDATES = 0.25  # of the live display: collecting the metrics costs more than a tiny step


class Progress(ProgressBar):
    """Print step, epoch, metrics and remaining time.

    A terminal or a notebook shows a progress bar and a table of metrics with sparklines and best values, which is
    redrawn a few times a second. Other outputs (a file, the log of a cluster) get a line at the end of the first and of
    the last epoch, and at most every `seconds_between_lines` in between, also within epochs.

    Args:
        seconds_between_lines: Least time between two plain lines; 0 prints a line at the end of each epoch.
        live: Whether a terminal or a notebook shows the live display; false prints plain lines.
    """

    affects_training = False
    skips_steps = True  # `trainer.training.loop` may call it after several steps at once

    def __init__(self, *, seconds_between_lines: float = SECONDS_BETWEEN_LINES, live: bool = True) -> None:
        super().__init__()
        self.seconds_between_lines = seconds_between_lines
        self.live = live
        self._display: LiveDisplay | None = None
        self._enabled = True

    def disable(self) -> None:
        """Print nothing; Lightning calls this in all processes except the first."""
        self._enabled = False

    def enable(self) -> None:
        """Print again."""
        self._enabled = True

    @property
    def is_enabled(self) -> bool:
        """Return whether this process prints; `LightningModule.print` reads it."""
        return self._enabled

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._printed_at = float("-inf")
        self._printed_step = -1
        self._next_update_at = float("-inf")
        self._started_at = time.monotonic()
        self._first_step = trainer.global_step
        console = Console(stderr=True)
        if self.live and self._enabled and (console.is_jupyter or sys.stderr.isatty()):
            self._display = LiveDisplay(console, _count_steps(trainer), trainer.global_step)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        now = time.monotonic()
        if self._display and now >= self._next_update_at:
            self._next_update_at = now + SECONDS_BETWEEN_UPDATES
            self._update_display(self._display, trainer, pl_module, trainer.current_epoch + 1, of_training=True)
        is_due = now - max(self._printed_at, self._started_at) >= self.seconds_between_lines > 0
        if is_due and not self._display and not trainer.is_last_batch:
            self._print_line(trainer, pl_module, trainer.current_epoch + 1)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._display and not trainer.sanity_checking:
            self._update_display(self._display, trainer, pl_module, trainer.current_epoch + 1, of_training=False)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._display and time.monotonic() - self._printed_at >= self.seconds_between_lines:
            self._print_line(trainer, pl_module, trainer.current_epoch + 1)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._display:
            self._update_display(self._display, trainer, pl_module, trainer.current_epoch, of_training=True)
            self._stop()
        elif trainer.global_step != self._printed_step:
            self._print_line(trainer, pl_module, trainer.current_epoch)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._display:
            self._display.update_progress(_format_epoch(trainer, trainer.current_epoch + 1), trainer.global_step)
        self._stop()

    def _print_line(self, trainer: Trainer, pl_module: LightningModule, epoch: int) -> None:
        if self._enabled:
            self._printed_at = time.monotonic()
            self._printed_step = trainer.global_step
            metrics = "  ".join(f"{name} {format_number(value)}" for name, value in self._metrics(trainer, pl_module))
            step = f"step {trainer.global_step}{self._format_time_left(trainer)}"
            print(f"{_format_epoch(trainer, epoch)}  {step}  {metrics}", flush=True)

    def _format_time_left(self, trainer: Trainer) -> str:
        """Return e.g. ` of 9,380 (12 min left)`, or "" if the training ends soon or its length is unknown."""
        total = _count_steps(trainer)
        done = trainer.global_step - self._first_step
        if total is None or done <= 0:
            return ""
        seconds = (total - trainer.global_step) * (time.monotonic() - self._started_at) / done
        return f" of {total} ({format_duration(seconds)} left)" if seconds >= self.seconds_between_lines > 0 else ""

    def _update_display(
        self, display: LiveDisplay, trainer: Trainer, pl_module: LightningModule, epoch: int, *, of_training: bool
    ) -> None:
        """Update the progress and the metrics of training or validation; the others have not changed."""
        display.update_progress(_format_epoch(trainer, epoch), trainer.global_step)
        metrics = self._metrics(trainer, pl_module)
        display.update(item for item in metrics if (MetricName.parse(item[0]).stage in EVALUATIONS) != of_training)

    def _metrics(self, trainer: Trainer, pl_module: LightningModule) -> Iterator[tuple[str, float]]:
        for name, value in self.get_metrics(trainer, pl_module).items():
            if isinstance(value, float | Tensor):
                yield name, float(value)

    def _stop(self) -> None:
        if self._display:
            self._display.stop()
            self._display = None


def _count_steps(trainer: Trainer) -> int | None:
    """Return the number of steps of the training, or None if it is unknown."""
    steps = trainer.estimated_stepping_batches
    return None if steps == float("inf") else int(steps)


def _format_epoch(trainer: Trainer, epoch: int) -> str:
    """Return e.g. `epoch 3/10`, or `epoch 3/?` if only the number of steps or the time is limited."""
    epochs = trainer.max_epochs
    return f"epoch {epoch}/{epochs if epochs and epochs > 0 else '?'}"
