"""Charts: lines and dots over days or numbers, drawn with Pillow alone."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw
from torch import Tensor

WHITE, BLACK, GREY, PALE = (255, 255, 255), (30, 30, 30), (110, 110, 110), (225, 225, 225)
ORANGE, SILVER = (214, 69, 20), (150, 150, 150)
# of many lines, e.g. of the classes in their order (Tableau's ten)
COLOURS = (
    *((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189)),
    *((140, 86, 75), (227, 119, 194), (127, 127, 127), (188, 189, 34), (23, 190, 207)),
)
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 26, 22  # pixels around the lines: numbers, nothing, title, days
FINE = 3  # lines are drawn so many times larger and then shrunk, which smooths them
DOT = 7  # radius of a dot there

Colour = tuple[int, int, int]  # red, green, blue: 0 to 255


class Line(NamedTuple):
    """A line of a chart, or dots: name, colour, heights (points,), and where they stand: (points,), or 0, 1, 2, ..."""

    name: str
    colour: Colour
    values: Tensor
    at: Tensor | None = None
    dots: bool = False

    @property
    def x(self) -> Tensor:
        """Where the points stand, from left to right."""
        return torch.arange(len(self.values)).double() if self.at is None else self.at.double()


def chart(lines: Sequence[Line], days: Sequence[str] | None, title: str, size: tuple[int, int]) -> Image.Image:
    """Draw lines with a grid, and their names in their colours beside the title.

    Args:
        lines: Of at least one point; later ones lie above earlier ones.
        days: What stands below: the first, the middle and the last of them. Without days, numbers stand there.
        title: What stands above.
        size: Width and height in pixels.
    """
    low, high = limits([line.values for line in lines])
    first, last = limits([line.x for line in lines], room=0.0 if days else 0.05)
    width, height = size[0] - LEFT - RIGHT, size[1] - TOP - BOTTOM

    def down(value: float) -> float:
        return (high - value) / (high - low) * (height - 1)

    def along(x: float) -> float:
        return (x - first) / (last - first) * (width - 1)

    if days:
        below = [(0.0, days[0], "la"), ((width - 1) / 2, days[len(days) // 2], "ma"), (width - 1.0, days[-1], "ra")]
    else:
        below = [(along(x), f"{x:g}", "ma") for x in grid(first, last)]
    beside = [(down(value), f"{value:g}") for value in grid(low, high)]

    plot = Image.new("RGB", (width * FINE, height * FINE), WHITE)
    pen = ImageDraw.Draw(plot)
    for place, _ in beside:
        pen.line([(0, place * FINE), (width * FINE, place * FINE)], PALE, FINE)
    for place, _, _ in [] if days else below:
        pen.line([(place * FINE, 0), (place * FINE, height * FINE)], PALE, FINE)
    for line in lines:
        points = zip(line.x.tolist(), line.values.double().tolist(), strict=True)
        _draw(pen, line, [(along(x) * FINE, down(value) * FINE) for x, value in points])
    sheet = Image.new("RGB", size, WHITE)
    sheet.paste(plot.reduce(FINE), (LEFT, TOP))

    pen = ImageDraw.Draw(sheet)
    pen.rectangle((LEFT - 1, TOP - 1, LEFT + width, TOP + height), outline=GREY)
    for place, text in beside:
        pen.text((LEFT - 6, TOP + place), text, BLACK, anchor="rm")
    for place, text, anchor in below:
        pen.text((LEFT + place, TOP + height + 5), text, BLACK, anchor=anchor)
    _entitle(pen, lines, title, size[0] - RIGHT)
    return sheet


def _draw(pen: ImageDraw.ImageDraw, line: Line, points: list[tuple[float, float]]) -> None:
    if not line.dots:
        pen.line(points, line.colour, FINE + 1, "curve")
    for x, y in points if line.dots else ():
        pen.ellipse((x - DOT, y - DOT, x + DOT, y + DOT), line.colour)


def _entitle(pen: ImageDraw.ImageDraw, lines: Sequence[Line], title: str, right: float) -> None:
    """The title on the left, the names on the right."""
    pen.text((LEFT, 8), title, BLACK)
    for line in reversed(lines):
        pen.text((right, 8), line.name, line.colour, anchor="ra")
        right -= pen.textlength(line.name) + 16 * bool(line.name)


def limits(values: Sequence[Tensor], room: float = 0.05) -> tuple[float, float]:
    """Least and greatest of all values, with some room beyond both, as a share of what lies between."""
    together = torch.cat([each.double().flatten() for each in values])
    low, high = together.min().item(), together.max().item()
    beyond = room * (high - low) or (0.0 if high > low else 1.0)
    return low - beyond, high + beyond


def grid(low: float, high: float) -> list[float]:
    """Round values between two, three to six of them, a step of 1, 2 or 5 times a power of ten apart."""
    power = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(power * times for times in (1, 2, 5, 10) if (high - low) / (power * times) <= 5)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]
