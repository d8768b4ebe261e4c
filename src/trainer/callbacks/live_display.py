"""Live display of a training in a terminal or a notebook: a table of metrics with sparklines and a progress bar."""

import math
import time
from collections.abc import Iterable

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from trainer.callbacks.notebook_view import NotebookView
from trainer.core.escaping import terminal_text
from trainer.core.formatting import SPARKLINE_CHARS, format_number, format_sparkline, mean
from trainer.core.metric_direction import infer_direction
from trainer.core.metric_name import MetricName

REFRESHES_PER_SECOND = 4
MAX_TABLE_ROWS = 8


class MetricCurve:
    """The values of a metric, averaged to at most `2 * SPARKLINE_CHARS` points.

    Args:
        name: Name of the metric.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.last = float("nan")
        self.best: float | None = None
        # training values are of single batches, so their best is not meaningful
        self._direction = None if MetricName.parse(name).stage == "train" else infer_direction(name)
        self.points: list[float] = []
        self._values_per_point = 1
        self._buffer: list[float] = []

    def update(self, value: float) -> None:
        """Add the next value."""
        self.last = value
        if not math.isfinite(value):
            return
        if self._direction:
            better = min if self._direction == "min" else max
            self.best = value if self.best is None else better(self.best, value)
        self._buffer.append(value)
        if len(self._buffer) == self._values_per_point:
            self.points.append(mean(self._buffer))
            self._buffer.clear()
        if len(self.points) == 2 * SPARKLINE_CHARS:
            self.points = [mean(pair) for pair in zip(self.points[::2], self.points[1::2], strict=True)]
            self._values_per_point *= 2


class LiveDisplay:
    """A display with the latest values. In a terminal a thread redraws it, in a notebook each update.

    Args:
        console: Console of the terminal, or of the notebook.
        total: Steps of the training; None if unknown.
        done: Steps that are complete at the start.
    """

    def __init__(self, console: Console, total: int | None, done: int) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:>9} steps/s"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task_id = self._bar.add_task("epoch 1", total=total, completed=done, rate="")
        self._curves: dict[str, MetricCurve] = {}
        self._started_at = time.monotonic()
        self._first_step = done
        self._view: Live | NotebookView = (
            NotebookView(console.width, self._render)
            if console.is_jupyter
            else Live(console=console, get_renderable=self._render, refresh_per_second=REFRESHES_PER_SECOND)
        )
        self._view.start()

    def update_progress(self, description: str, step: int) -> None:
        """Set the description and the number of completed steps."""
        rate = (step - self._first_step) / max(1e-9, time.monotonic() - self._started_at)
        self._bar.update(self._task_id, description=description, completed=step, rate=f"{rate:,.0f}")

    def update(self, values: Iterable[tuple[str, float]]) -> None:
        """Add new values of metrics, by name."""
        for name, value in values:
            if name not in self._curves:
                self._curves = {**self._curves, name: MetricCurve(name)}  # the thread may be iterating over the old one
            self._curves[name].update(value)
        if isinstance(self._view, NotebookView):
            self._view.refresh()

    def stop(self) -> None:
        """Draw the final state."""
        self._view.stop()

    def _render(self) -> Group:
        return Group(make_metrics_table(list(self._curves.values())[:MAX_TABLE_ROWS]), self._bar)


def make_metrics_table(curves: list[MetricCurve]) -> Table:
    """Return a table with one row for each metric: last value, best validation value and sparkline."""
    table = Table(box=None, pad_edge=False, show_header=bool(curves), header_style="dim")
    table.add_column("metric", no_wrap=True)
    table.add_column("last", justify="right", no_wrap=True)
    table.add_column("best", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for curve in curves:
        table.add_row(
            terminal_text(curve.name),
            format_number(curve.last),
            format_number(curve.best),
            format_sparkline(curve.points),
        )
    return table
