"""Line and scatter charts, drawn with Pillow."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw
from torch import Tensor

Color = tuple[int, int, int]  # red, green, blue: 0 to 255

WHITE = (255, 255, 255)
BLACK = (30, 30, 30)
GRAY = (110, 110, 110)
LIGHT_GRAY = (225, 225, 225)
SILVER = (150, 150, 150)
ORANGE = (214, 69, 20)
# colors of many lines, e.g. one for each class (Tableau 10)
COLORS = (
    *((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189)),
    *((140, 86, 75), (227, 119, 194), (127, 127, 127), (188, 189, 34), (23, 190, 207)),
)
LEFT_PIXELS = 64  # margins: value labels, nothing, title, position labels
RIGHT_PIXELS = 16
TOP_PIXELS = 26
BOTTOM_PIXELS = 22
SUPERSAMPLING = 3  # the plot is drawn larger by this factor and then reduced, which smooths the lines
DOT_RADIUS = 7  # before the reduction


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


def draw_chart(lines: Sequence[Line], days: Sequence[str] | None, title: str, size: tuple[int, int]) -> Image.Image:
    """Draw lines with a grid, a title and a legend.

    Args:
        lines: Lines of at least one point; later ones are drawn over earlier ones.
        days: Names of the positions; the first, the middle and the last are printed. None prints numbers.
        title: Title of the chart.
        size: Width and height in pixels.
    """
    low, high = compute_limits([line.values for line in lines])
    first, last = compute_limits([line.x for line in lines], margin=0.0 if days else 0.05)
    width = size[0] - LEFT_PIXELS - RIGHT_PIXELS
    height = size[1] - TOP_PIXELS - BOTTOM_PIXELS

    def to_y(value: float) -> float:
        return (high - value) / (high - low) * (height - 1)

    def to_x(position: float) -> float:
        return (position - first) / (last - first) * (width - 1)

    if days:
        x_labels = [(0.0, days[0], "la"), ((width - 1) / 2, days[len(days) // 2], "ma"), (width - 1.0, days[-1], "ra")]
    else:
        x_labels = [(to_x(position), f"{position:g}", "ma") for position in compute_ticks(first, last)]
    y_labels = [(to_y(value), f"{value:g}") for value in compute_ticks(low, high)]

    scale = SUPERSAMPLING
    plot = Image.new("RGB", (width * scale, height * scale), WHITE)
    pen = ImageDraw.Draw(plot)
    for y, _ in y_labels:
        pen.line([(0, y * scale), (width * scale, y * scale)], LIGHT_GRAY, scale)
    for x, _, _ in [] if days else x_labels:
        pen.line([(x * scale, 0), (x * scale, height * scale)], LIGHT_GRAY, scale)
    for line in lines:
        points = zip(line.x.tolist(), line.values.double().tolist(), strict=True)
        _draw_line(pen, line, [(to_x(position) * scale, to_y(value) * scale) for position, value in points])
    chart = Image.new("RGB", size, WHITE)
    chart.paste(plot.reduce(scale), (LEFT_PIXELS, TOP_PIXELS))

    pen = ImageDraw.Draw(chart)
    pen.rectangle((LEFT_PIXELS - 1, TOP_PIXELS - 1, LEFT_PIXELS + width, TOP_PIXELS + height), outline=GRAY)
    for y, text in y_labels:
        pen.text((LEFT_PIXELS - 6, TOP_PIXELS + y), text, BLACK, anchor="rm")
    for x, text, anchor in x_labels:
        pen.text((LEFT_PIXELS + x, TOP_PIXELS + height + 5), text, BLACK, anchor=anchor)
    _draw_title(pen, lines, title, size[0] - RIGHT_PIXELS)
    return chart


def _draw_line(pen: ImageDraw.ImageDraw, line: Line, points: list[tuple[float, float]]) -> None:
    if not line.dots:
        pen.line(points, line.color, SUPERSAMPLING + 1, "curve")
    for x, y in points if line.dots else ():
        pen.ellipse((x - DOT_RADIUS, y - DOT_RADIUS, x + DOT_RADIUS, y + DOT_RADIUS), line.color)


def _draw_title(pen: ImageDraw.ImageDraw, lines: Sequence[Line], title: str, x: float) -> None:
    """Draw the title on the left, and the names of the lines to the left of `x`."""
    pen.text((LEFT_PIXELS, 8), title, BLACK)
    for line in reversed(lines):
        pen.text((x, 8), line.name, line.color, anchor="ra")
        x -= pen.textlength(line.name) + 16 * bool(line.name)


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
