"""Parallel coordinates of the parameters and the metric of a sweep."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from trainer.core.formatting import format_number
from trainer.reports.document import Chart, Table
from trainer.reports.svg_charts import DIM_COLOR, LINE_COLOR, LOG_SCALE_RATIO, placeholder_color, render_svg

MAX_PARAMETERS = 5
MAX_LINES = 500
MAX_TICKS = 5  # of an axis
MAX_TEXT_CHARACTERS = 14  # of a value


@dataclass(frozen=True)
class Coordinate:
    """Vertical axis of a parameter or metric.

    Args:
        name: Name of the parameter.
        positions: Position of each run, 0 to 1; numbers that span more than a factor of 50 are on a logarithmic scale.
        ticks: Positions and texts of some values.
    """

    name: str
    positions: Sequence[float]
    ticks: Sequence[tuple[float, str]]


def make_coordinate(name: str, values: Sequence[object]) -> Coordinate:
    """Return the axis of the values of a parameter; values that are not numbers are equally far apart."""
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        names = sorted({str(value) for value in values})
        by_name = {text: (index + 0.5) / len(names) for index, text in enumerate(names)}
        step = -(-len(names) // MAX_TICKS)
        texts = [(by_name[text], text[:MAX_TEXT_CHARACTERS]) for text in names[::step]]
        return Coordinate(name, [by_name[str(value)] for value in values], texts)
    low, high = min(numbers), max(numbers)
    if low == high:
        return Coordinate(name, [0.5] * len(numbers), [(0.5, format_number(low))])
    is_log = 0 < low * LOG_SCALE_RATIO < high
    scaled = [math.log(number) if is_log else number for number in numbers]
    start, span = min(scaled), max(scaled) - min(scaled)
    positions = [(number - start) / span for number in scaled]
    ticks = sorted({*zip(positions, numbers, strict=True)})
    if len(ticks) > MAX_TICKS:
        fractions = [index / (MAX_TICKS - 1) for index in range(MAX_TICKS)]
        levels = [start + fraction * span for fraction in fractions]
        ticks = [*zip(fractions, map(math.exp, levels) if is_log else levels, strict=True)]
    return Coordinate(name, positions, [(position, format_number(number)) for position, number in ticks])


def draw_parallel_coordinates(
    parameters: Mapping[str, Sequence[object]], metric: str, values: Sequence[float], colors: Sequence[int | None]
) -> Chart:
    """Return a chart with an axis for each parameter, the metric on the right, and a line for each run.

    Args:
        parameters: Values in each run, by name, the most important parameters first; at most `MAX_PARAMETERS` are
            drawn.
        metric: Name of the metric.
        values: Metric of each run, of the best runs first; at most `MAX_LINES` are drawn.
        colors: Color number of each run; None is gray.
    """
    columns = {name: parameters[name][:MAX_LINES] for name in [*parameters][:MAX_PARAMETERS]}
    columns[metric] = values[:MAX_LINES]
    coordinates = [make_coordinate(name, column) for name, column in columns.items()]

    def draw(axes: Axes) -> None:
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set_yticks([])
        axes.set_xticks(range(len(coordinates)), [name.replace(".", ".\n") for name in columns])
        lines = zip(colors, *(coordinate.positions for coordinate in coordinates), strict=False)
        for color, *positions in sorted(lines, key=lambda line: line[0] is not None):  # gray ones in the background
            line_color = DIM_COLOR if color is None else placeholder_color(color)
            axes.plot(positions, color=line_color, linewidth=1.4, alpha=0.8)
        for x, coordinate in enumerate(coordinates):
            axes.axvline(x, color=LINE_COLOR, linewidth=1.5, zorder=0)
            for y, text in coordinate.ticks:
                axes.annotate(text, (x, y), (4, 0), "data", "offset points", va="center", fontsize=9)
        axes.margins(x=0.15)

    rows = [[str(value) for value in row] for row in zip(*columns.values(), strict=True)]
    svg = render_svg("Parallel coordinates", draw, [[*columns], *rows])
    note = "A line for each run, in the color of its group."
    if len(parameters) > MAX_PARAMETERS:
        note += f" The {MAX_PARAMETERS} most important of {len(parameters)} parameters."
    if len(values) > MAX_LINES:
        note += f" The best {MAX_LINES} of {len(values)} runs."
    return Chart("Parameters and metric of each run", svg, [], Table([], []), note)
