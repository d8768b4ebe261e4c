"""Line and scatter charts, drawn with Pillow."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from trainer.callbacks.plots.style import (
    BLACK,
    GRAY,
    LARGE_FONT,
    LIGHT_GRAY,
    WHITE,
    Color,
    draw_vertical_text,
    shorten_text,
)

LEFT_PIXELS = 92  # margins: value labels and title of the axis, nothing, title, position labels and title of the axis
RIGHT_PIXELS = 16
TOP_PIXELS = 34
BOTTOM_PIXELS = 52
LEGEND_ROW_PIXELS = 24  # added to the upper margin
SWATCH_PIXELS = 14  # colored square of a legend
LEGEND_GAP_PIXELS = 16  # between two entries
MAX_LABEL_PIXELS = 160
SUPERSAMPLING = 2  # the plot is drawn larger by this factor and then reduced, which smooths the lines
DOT_RADIUS = 5  # before the reduction


class Line(NamedTuple):
    """A line or dots of a chart: values (points,) and their positions (points,), by default 0, 1, 2, ..."""

    name: str
    color: Color
    values: Tensor
    positions: Tensor | None = None
    dots: bool = False

    @property
    def x(self) -> Tensor:
        """Positions of the points on the horizontal axis."""
        return torch.arange(len(self.values)).double() if self.positions is None else self.positions.double()


class Axes(NamedTuple):
    """Titles of a chart and its axes, and names of the positions, of which three are printed; else numbers are."""

    title: str
    x: str = ""
    y: str = ""
    position_names: Sequence[str] | None = None


class Scale(NamedTuple):
    """Map from values to pixels.

    Args:
        low: Value at pixel 0.
        high: Value at the last pixel.
        length: Number of pixels.
    """

    low: float
    high: float
    length: int

    def to_pixel(self, value: float) -> float:
        """Return the pixel of a value."""
        return (value - self.low) / (self.high - self.low) * (self.length - 1)


def draw_chart(lines: Sequence[Line], axes: Axes, size: tuple[int, int]) -> Image.Image:
    """Draw lines with a grid, a title and a legend.

    Args:
        lines: Lines of at least one point; later ones are drawn over earlier ones. A line without a name is not part of
            the legend.
        axes: Titles and names of positions.
        size: Width and height in pixels.
    """
    width = size[0] - LEFT_PIXELS - RIGHT_PIXELS
    legend = arrange_legend(lines, width)
    top = TOP_PIXELS + LEGEND_ROW_PIXELS * len(legend)
    low, high = compute_limits([line.values for line in lines])
    y_scale = Scale(high, low, size[1] - top - BOTTOM_PIXELS)
    x_scale = Scale(*compute_limits([line.x for line in lines], margin=0.0 if axes.position_names else 0.05), width)
    y_labels = [(y_scale.to_pixel(value), f"{value:g}") for value in compute_ticks(low, high)]
    x_labels = [(x_scale.to_pixel(value), f"{value:g}", "ma") for value in compute_ticks(x_scale.low, x_scale.high)]
    vertical_grid = [x for x, _, _ in x_labels]
    if names := axes.position_names:
        middle = names[len(names) // 2]
        x_labels = [(0.0, names[0], "la"), ((width - 1) / 2, middle, "ma"), (width - 1.0, names[-1], "ra")]
        vertical_grid = []

    chart = Image.new("RGB", size, WHITE)
    chart.paste(_draw_plot(lines, x_scale, y_scale, vertical_grid, [y for y, _ in y_labels]), (LEFT_PIXELS, top))
    pen = ImageDraw.Draw(chart)
    bottom = top + y_scale.length
    pen.rectangle((LEFT_PIXELS - 1, top - 1, LEFT_PIXELS + width, bottom), outline=GRAY)
    for y, text in y_labels:
        pen.text((LEFT_PIXELS - 8, top + y), text, BLACK, LARGE_FONT, anchor="rm")
    for x, text, anchor in x_labels:
        pen.text((LEFT_PIXELS + x, bottom + 5), text, BLACK, LARGE_FONT, anchor=anchor)
    _draw_legend(pen, legend)
    _draw_titles(chart, axes, (top + bottom) / 2)
    return chart


def arrange_legend(lines: Sequence[Line], width: float) -> list[list[tuple[float, str, Color]]]:
    """Return the rows of a legend: start in pixels, text and color of each entry."""
    rows: list[list[tuple[float, str, Color]]] = []
    x = width
    for line in lines:
        if not line.name:
            continue
        text = shorten_text(line.name, MAX_LABEL_PIXELS, LARGE_FONT)
        length = SWATCH_PIXELS + 6 + LARGE_FONT.getlength(text)
        if x + length > width:
            rows.append([])
            x = 0.0
        rows[-1].append((x, text, line.color))
        x += length + LEGEND_GAP_PIXELS
    return rows


def _draw_plot(
    lines: Sequence[Line], x_scale: Scale, y_scale: Scale, vertical_grid: Sequence[float], grid: Sequence[float]
) -> Image.Image:
    """Return an image of lines and grid lines, without labels."""
    factor = SUPERSAMPLING
    width = x_scale.length * factor
    height = y_scale.length * factor
    plot = Image.new("RGB", (width, height), WHITE)
    pen = ImageDraw.Draw(plot)
    for y in grid:
        pen.line([(0, y * factor), (width, y * factor)], LIGHT_GRAY, factor)
    for x in vertical_grid:
        pen.line([(x * factor, 0), (x * factor, height)], LIGHT_GRAY, factor)
    for line in lines:
        values = zip(line.x.tolist(), line.values.double().tolist(), strict=True)
        points = [(x_scale.to_pixel(x) * factor, y_scale.to_pixel(y) * factor) for x, y in values]
        if not line.dots:
            pen.line(points, line.color, 2 * factor)
        for x, y in points if line.dots else ():
            pen.ellipse((x - DOT_RADIUS, y - DOT_RADIUS, x + DOT_RADIUS, y + DOT_RADIUS), line.color)
    return plot.reduce(factor)


def _draw_legend(pen: ImageDraw.ImageDraw, rows: Sequence[Sequence[tuple[float, str, Color]]]) -> None:
    for number, row in enumerate(rows):
        middle = TOP_PIXELS + (number + 0.4) * LEGEND_ROW_PIXELS
        for offset, text, color in row:
            x = LEFT_PIXELS + offset
            pen.rectangle((x, middle - SWATCH_PIXELS / 2, x + SWATCH_PIXELS, middle + SWATCH_PIXELS / 2), color)
            pen.text((x + SWATCH_PIXELS + 6, middle), text, BLACK, LARGE_FONT, anchor="lm")


def _draw_titles(chart: Image.Image, axes: Axes, middle: float) -> None:
    """Draw the titles of the chart and of its axes; `middle` is that of the vertical axis."""
    pen = ImageDraw.Draw(chart)
    center = (LEFT_PIXELS + chart.width - RIGHT_PIXELS) / 2
    title = shorten_text(axes.title, chart.width - LEFT_PIXELS - RIGHT_PIXELS, LARGE_FONT)
    pen.text((LEFT_PIXELS, 8), title, BLACK, LARGE_FONT)
    pen.text((center, chart.height - 6), axes.x, GRAY, LARGE_FONT, anchor="ms")
    if axes.y:
        text = draw_vertical_text(axes.y, LARGE_FONT, GRAY)
        chart.paste(text, (4, max(0, round(middle - text.height / 2))))


def compute_limits(values: Sequence[Tensor], margin: float = 0.05) -> tuple[float, float]:
    """Return the smallest and the largest of all values, extended by a fraction of their difference."""
    numbers = torch.cat([tensor.double().flatten() for tensor in values])
    low = numbers.min().item()
    high = numbers.max().item()
    extension = margin * (high - low) or (0.0 if high > low else 1.0)
    return low - extension, high + extension


def compute_ticks(low: float, high: float) -> list[float]:
    """Return three to six round values between two, at a distance of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if (high - low) / (power * factor) <= 5)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]
