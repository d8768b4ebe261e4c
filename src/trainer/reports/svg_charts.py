"""Charts as static SVG, drawn by Matplotlib, with CSS variables as colors for light and dark pages."""

import html
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
MAX_READ_ROWS = 12  # of the numbers of a chart; the page has a table of all
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


def draw_chart(title: str, lines: Sequence[Line], mark: tuple[float, str] | None = None) -> Chart:
    """Return a chart of lines over the optimizer step; values that are not finite are left out.

    A line of a single point is drawn as a dot.

    Args:
        title: Title of the chart, unique on a page.
        lines: Lines of the chart.
        mark: Step and text of a vertical line.
    """
    finite = [
        Line(line.name, [point for point in line.points if math.isfinite(point[1])], line.color) for line in lines
    ]
    visible = [line for line in finite if line.points]
    max_points = max(30, MAX_CHART_POINTS // max(1, len(visible)))

    def draw(axes: Axes) -> None:
        for line in sorted(visible, key=lambda line: line.color is not None):  # gray lines in the background
            x, y = zip(*downsample(line.points, max_points), strict=True)
            color = DIM_COLOR if line.color is None else placeholder_color(line.color)
            axes.plot(x, y, color=color, linewidth=1.4, marker="o" if len(x) < 2 else "", markersize=3)
        values = [value for line in visible for _, value in line.points]
        if values and min(values) > 0 and max(values) > LOG_SCALE_RATIO * min(values):
            axes.set_yscale("log")
        if mark:
            axes.axvline(mark[0], color=DIM_COLOR, linewidth=1, linestyle=":")
            is_late = mark[0] > sum(axes.get_xlim()) / 2
            alignment = "right" if is_late else "left"
            offset = (-4 if is_late else 4, -4)
            position = (mark[0], 1.0)
            axes.annotate(mark[1], position, offset, ("data", "axes fraction"), "offset points", ha=alignment, va="top")
        axes.set_xlabel("step")

    rows = [[line.name, *_summarize_values([value for _, value in line.points])] for line in visible]
    legend = dict.fromkeys((line.name, line.color) for line in visible)
    header = ["curve", "first", "lowest", "highest", "last"]
    return Chart(title, render_svg(title, draw, [header, *rows]), [*legend], Table(header, rows))


def draw_intervals(title: str, means: Sequence[tuple[float, float]], values: Sequence[Sequence[float]]) -> str:
    """Return an SVG element with a row per group: its runs as dots, its mean and its interval; the first on top.

    Args:
        title: Title of the chart, unique on a page.
        means: Mean and half the width of the interval of each group.
        values: Values of the runs of each group.
    """

    def draw(axes: Axes) -> None:
        for row, ((mean, width), runs) in enumerate(zip(means, values, strict=True), start=1):
            color = placeholder_color(row - 1) if row <= NUM_COLORS else DIM_COLOR
            axes.plot(runs, [row] * len(runs), "o", color=color, markersize=3.5, alpha=0.6)
            axes.plot([mean], [row], "|", color=INK_COLOR, markersize=12)
            if math.isfinite(width):
                axes.plot([mean - width, mean + width], [row, row], color=color, linewidth=2)
        axes.set_ylim(len(means) + 0.6, 0.4)
        axes.set_yticks(range(1, len(means) + 1))
        axes.set_xlabel(title)

    rows = [["row", "mean"], *([str(row), format_number(mean)] for row, (mean, _) in enumerate(means, start=1))]
    return render_svg(f"Intervals of {title}", draw, rows, height=min(8.0, 0.9 + 0.28 * len(means)))


def render_svg(
    title: str,
    draw: Callable[[Axes], None],
    numbers: Sequence[Sequence[str]],
    *,
    height: float = FIGURE_SIZE_INCHES[1],
) -> str:
    """Return an SVG element for an HTML page; programs that read pages aloud read its title and its first numbers.

    Args:
        title: Title and salt of the element IDs, unique on a page.
        draw: Draws on the axes.
        numbers: Rows of the numbers in the chart; the first one is a header.
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
    content = "; ".join(", ".join(row) for row in numbers[: MAX_READ_ROWS + 1])
    label = html.escape(f"Chart: {title}. {content}")
    svg = re.sub(r' (width|height)="[^"]*pt"', "", text.getvalue()[text.getvalue().index("<svg") :], count=2)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    variables = {INK_COLOR: "var(--ink)", LINE_COLOR: "var(--line)", DIM_COLOR: "var(--dim)"}
    variables |= {placeholder_color(color): f"var(--c{color})" for color in range(NUM_COLORS)}
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


def placeholder_color(color: int) -> str:
    """Return the placeholder of a color number."""
    return f"#0404{color + 16:02x}"
