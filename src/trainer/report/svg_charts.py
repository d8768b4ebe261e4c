"""Curves as SVG, drawn by Matplotlib: small, static, and in the colours of the page around them, dark or light."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from statistics import fmean

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.report.document import Chart, Table, number

COLOURS = 8  # that the page has; further lines are grey
POINTS = 20_000  # of all lines of a chart together: a page of 500 runs stays small
SIZE = (5.4, 3.2)  # inches; the page stretches it
INK, PALE, GREY = "#010101", "#020202", "#030303"  # stand for colours of the page
SPAN = 50  # a chart whose values span more than this factor has a logarithmic axis

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """A curve.

    Args:
        name: In the legend; lines of one name have one entry.
        points: (step, value) each.
        colour: Its number; None is grey.
    """

    name: str
    points: Points
    colour: int | None


def chart(title: str, lines: Sequence[Line]) -> Chart:
    """Draw lines over the step of the optimizer.

    Args:
        title: Above the chart.
        lines: Those with points that are numbers; one of a single point is a dot.
    """
    finite = [
        Line(line.name, [point for point in line.points if math.isfinite(point[1])], line.colour) for line in lines
    ]
    drawn = [line for line in finite if line.points]
    most = max(30, POINTS // max(1, len(drawn)))

    def draw(axes: Axes) -> None:
        for line in sorted(drawn, key=lambda line: line.colour is not None):  # the grey ones below
            x, y = zip(*thinned(line.points, most), strict=True)
            colour = GREY if line.colour is None else _stand_in(line.colour)
            axes.plot(x, y, color=colour, linewidth=1.4, marker="o" if len(x) < 2 else "", markersize=3)
        values = [value for line in drawn for _, value in line.points]
        if values and min(values) > 0 and max(values) > SPAN * min(values):
            axes.set_yscale("log")
        axes.set_xlabel("step")

    rows = [[line.name, *_told([value for _, value in line.points])] for line in drawn]
    legend = dict.fromkeys((line.name, line.colour) for line in drawn)
    return Chart(title, svg(title, draw), [*legend], Table(["curve", "first", "lowest", "highest", "last"], rows))


def intervals(title: str, means: Sequence[tuple[float, float]], values: Sequence[Sequence[float]]) -> str:
    """Draw a row for each group: its runs as dots, its mean, the interval around it; the first on top.

    Args:
        title: Of the chart; no two charts of a page have the same.
        means: Mean and half the width of the interval, which may be infinite.
        values: Of the runs.
    """

    def draw(axes: Axes) -> None:
        for row, ((mean, width), runs) in enumerate(zip(means, values, strict=True), start=1):
            colour = _stand_in(row - 1) if row <= COLOURS else GREY
            axes.plot(runs, [row] * len(runs), "o", color=colour, markersize=3.5, alpha=0.6)
            axes.plot([mean], [row], "|", color=INK, markersize=12)
            if math.isfinite(width):
                axes.plot([mean - width, mean + width], [row, row], color=colour, linewidth=2)
        axes.set_ylim(len(means) + 0.6, 0.4)
        axes.set_yticks(range(1, len(means) + 1))
        axes.set_xlabel(title)

    return svg(f"intervals of {title}", draw, height=min(8.0, 0.9 + 0.28 * len(means)))


def svg(title: str, draw: Callable[[Axes], None], height: float = SIZE[1]) -> str:
    """An SVG element with what `draw(axes)` draws, to stand in an HTML page.

    Args:
        title: The names of its parts are made of it, so that no two charts of a page share one.
        draw: Draws.
        height: In inches.
    """
    style: dict[str, object] = {"svg.fonttype": "none", "svg.hashsalt": title, "font.size": 10}
    style |= dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK)
    style |= {"axes.grid": True, "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False}
    style |= {"grid.color": PALE, "figure.facecolor": "none", "axes.facecolor": "none", "font.family": "sans-serif"}
    with rc_context(style):  # type: ignore[arg-type]
        figure = Figure(figsize=(SIZE[0], height), layout="constrained")
        draw(figure.add_subplot())
        text = StringIO()
        unsaid = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", metadata=unsaid, facecolor="none")
    drawing = re.sub(r' (width|height)="[^"]*pt"', "", text.getvalue()[text.getvalue().index("<svg") :], count=2)
    names = {INK: "var(--ink)", PALE: "var(--line)", GREY: "var(--dim)"}
    names |= {_stand_in(colour): f"var(--c{colour})" for colour in range(COLOURS)}
    for stand_in, name in names.items():
        drawing = drawing.replace(stand_in, name)
    return drawing


def thinned(points: Points, most: int) -> Points:
    """At most so many points: of more, the means of neighbours."""
    size = -(-len(points) // most)
    if size < 2:
        return points
    parts = [points[start : start + size] for start in range(0, len(points), size)]
    return [(fmean(x for x, _ in part), fmean(y for _, y in part)) for part in parts]


def _told(values: Sequence[float]) -> list[str]:
    return [number(value) for value in (values[0], min(values), max(values), values[-1])]


def _stand_in(colour: int) -> str:
    return f"#0404{colour + 16:02x}"
