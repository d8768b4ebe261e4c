"""The live view of a training in a terminal: a bar with the time left, below a table of metrics with their curves."""

import math
import time
from collections.abc import Iterable
from statistics import fmean

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from trainer.core.metric_direction import direction_of

REDRAWN = 4  # times a second
MOST_ROWS = 8
WIDTH = 32  # characters of a curve
HEIGHTS = "▁▂▃▄▅▆▇█"


class Curve:
    """The course of a value, in at most `2 * WIDTH` numbers however many are noted.

    Args:
        name: Of the metric.
    """

    def __init__(self, name: str) -> None:
        self.name, self.now = name, float("nan")
        self.best: float | None = None
        self._direction = None if name.startswith("train/") else direction_of(name)  # train/: of single batches
        self._points: list[float] = []
        self._each = 1  # so many values are one point
        self._gathered: list[float] = []

    def note(self, value: float) -> None:
        """Add the next value."""
        self.now = value
        if not math.isfinite(value):  # it has no height
            return
        if self._direction:
            better = min if self._direction == "min" else max
            self.best = value if self.best is None else better(self.best, value)
        self._gathered.append(value)
        if len(self._gathered) == self._each:
            self._points.append(fmean(self._gathered))
            self._gathered.clear()
        if len(self._points) == 2 * WIDTH:
            self._points = [fmean(pair) for pair in zip(self._points[::2], self._points[1::2], strict=True)]
            self._each *= 2

    @property
    def sparkline(self) -> str:
        """The course in block characters, the lowest value at the bottom."""
        points = self._points
        size = -(-len(points) // WIDTH) or 1
        values = [fmean(points[start : start + size]) for start in range(0, len(points), size)]
        low, high = min(values, default=0.0), max(values, default=0.0)
        top = len(HEIGHTS) - 1
        return "".join(HEIGHTS[round((value - low) / (high - low) * top) if high > low else 0] for value in values)


class LiveView:
    """Redraws itself by a thread, `REDRAWN` times a second, from what it was last told.

    Args:
        console: Where it is drawn.
        total: Steps of the training; None where nobody knows.
        done: Steps that were made before.
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
        self._row = self._bar.add_task("epoch 1", total=total, completed=done, rate="")
        self._curves: dict[str, Curve] = {}
        self._began, self._first_step = time.monotonic(), done
        self._live = Live(console=console, get_renderable=self._drawn, refresh_per_second=REDRAWN)
        self._live.start()

    def tell(self, place: str, step: int) -> None:
        """How far the training is.

        Args:
            place: In words.
            step: Optimizer steps made.
        """
        rate = (step - self._first_step) / max(1e-9, time.monotonic() - self._began)
        self._bar.update(self._row, description=place, completed=step, rate=f"{rate:,.0f}")

    def note(self, values: Iterable[tuple[str, float]]) -> None:
        """New values of metrics, by name."""
        for name, value in values:
            if name not in self._curves:
                self._curves = {**self._curves, name: Curve(name)}  # the thread may be walking over the old one
            self._curves[name].note(value)

    def stop(self) -> None:
        """Draw for the last time, and leave it standing."""
        self._live.stop()

    def _drawn(self) -> Group:
        return Group(table(list(self._curves.values())[:MOST_ROWS]), self._bar)


def table(curves: list[Curve]) -> Table:
    """A row for each metric: its value, the best so far of a validation, and its course."""
    drawn = Table(box=None, pad_edge=False, show_header=bool(curves), header_style="dim")
    drawn.add_column("metric", no_wrap=True)
    drawn.add_column("now", justify="right", no_wrap=True)
    drawn.add_column("best", justify="right", no_wrap=True)
    drawn.add_column("", no_wrap=True)
    for curve in curves:
        best = "" if curve.best is None else f"{curve.best:.4g}"
        drawn.add_row(curve.name, f"{curve.now:.4g}", best, curve.sparkline)
    return drawn
