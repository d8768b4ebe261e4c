"""Charts as static SVG, drawn by Matplotlib, with CSS variables as colors for light and dark pages."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from statistics import fmean

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.core.formatting import format_number
from trainer.reports.document import Chart, Table

NUM_COLORS = 8  # defined by the page; further lines are gray
MAX_CHART_POINTS = 20_000  # of all lines of a chart together
FIGURE_SIZE_INCHES = (5.4, 3.2)  # scaled by the page
# placeholders, replaced by CSS variables
INK_COLOR = "#010101"
LINE_COLOR = "#020202"
DIM_COLOR = "#030303"
LOG_SCALE_RATIO = 50  # a wider range of values has a logarithmic axis

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Args:
        name: Name in the legend; lines with the same name share an entry.
        points: Pairs of step and value.
        color: Color number; None is gray.
    """

    name: str
    points: Points
    color: int | None


def draw_chart(title: str, lines: Sequence[Line]) -> Chart:
    """Return a chart of lines over the optimizer step; values that are not finite are left out.

    A line of a single point is drawn as a dot.
    """
    finite = [
        Line(line.name, [point for point in line.points if math.isfinite(point[1])], line.color) for line in lines
    ]
    visible = [line for line in finite if line.points]
    max_points = max(30, MAX_CHART_POINTS // max(1, len(visible)))

    def draw(axes: Axes) -> None:
        for line in sorted(visible, key=lambda line: line.color is not None):  # gray lines in the background
            x, y = zip(*downsample(line.points, max_points), strict=True)
            color = DIM_COLOR if line.color is None else _placeholder_color(line.color)
            axes.plot(x, y, color=color, linewidth=1.4, marker="o" if len(x) < 2 else "", markersize=3)
        values = [value for line in visible for _, value in line.points]
        if values and min(values) > 0 and max(values) > LOG_SCALE_RATIO * min(values):
            axes.set_yscale("log")
        axes.set_xlabel("step")

    rows = [[line.name, *_summarize_values([value for _, value in line.points])] for line in visible]
    legend = dict.fromkeys((line.name, line.color) for line in visible)
    numbers = Table(["curve", "first", "lowest", "highest", "last"], rows)
    return Chart(title, render_svg(title, draw), [*legend], numbers)


def draw_intervals(title: str, means: Sequence[tuple[float, float]], values: Sequence[Sequence[float]]) -> str:
    """Return an SVG element with a row per group: its runs as dots, its mean and its interval; the first on top.

    Args:
        title: Title of the chart, unique on a page.
        means: Mean and half the width of the interval of each group.
        values: Values of the runs of each group.
    """

    def draw(axes: Axes) -> None:
        for row, ((mean, width), runs) in enumerate(zip(means, values, strict=True), start=1):
            color = _placeholder_color(row - 1) if row <= NUM_COLORS else DIM_COLOR
            axes.plot(runs, [row] * len(runs), "o", color=color, markersize=3.5, alpha=0.6)
            axes.plot([mean], [row], "|", color=INK_COLOR, markersize=12)
            if math.isfinite(width):
                axes.plot([mean - width, mean + width], [row, row], color=color, linewidth=2)
        axes.set_ylim(len(means) + 0.6, 0.4)
        axes.set_yticks(range(1, len(means) + 1))
        axes.set_xlabel(title)

    return render_svg(f"intervals of {title}", draw, height=min(8.0, 0.9 + 0.28 * len(means)))


def render_svg(title: str, draw: Callable[[Axes], None], height: float = FIGURE_SIZE_INCHES[1]) -> str:
    """Return an SVG element for an HTML page.

    Args:
        title: Salt of the element IDs, unique on a page.
        draw: Draws on the axes.
        height: Height in inches.
    """
    style: dict[str, object] = {"svg.fonttype": "none", "svg.hashsalt": title, "font.size": 10}
    style |= dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK_COLOR)
    style |= {"axes.grid": True, "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False}
    style |= {
        "grid.color": LINE_COLOR,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "font.family": "sans-serif",
    }
    with rc_context(style):  # type: ignore[arg-type]
        figure = Figure(figsize=(FIGURE_SIZE_INCHES[0], height), layout="constrained")
        draw(figure.add_subplot())
        text = StringIO()
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", metadata=no_metadata, facecolor="none")
    svg = re.sub(r' (width|height)="[^"]*pt"', "", text.getvalue()[text.getvalue().index("<svg") :], count=2)
    variables = {INK_COLOR: "var(--ink)", LINE_COLOR: "var(--line)", DIM_COLOR: "var(--dim)"}
    variables |= {_placeholder_color(color): f"var(--c{color})" for color in range(NUM_COLORS)}
    for placeholder, variable in variables.items():
        svg = svg.replace(placeholder, variable)
    return svg


def downsample(points: Points, max_points: int) -> Points:
    """Return at most `max_points` points, by averaging neighbors."""
    size = -(-len(points) // max_points)
    if size < 2:
        return points
    chunks = [points[start : start + size] for start in range(0, len(points), size)]
    return [(fmean(x for x, _ in chunk), fmean(y for _, y in chunk)) for chunk in chunks]


def _summarize_values(values: Sequence[float]) -> list[str]:
    return [format_number(value) for value in (values[0], min(values), max(values), values[-1])]


def _placeholder_color(color: int) -> str:
    return f"#0404{color + 16:02x}"
