"""Charts: lines over days, drawn with Pillow alone."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw
from torch import Tensor

WHITE, BLACK, GREY, PALE = (255, 255, 255), (30, 30, 30), (110, 110, 110), (225, 225, 225)
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 26, 22  # pixels around the lines: prices, nothing, title, days
FINE = 3  # lines are drawn so many times larger and then shrunk, which smooths them


class Line(NamedTuple):
    """A line of a chart: its name, its colour (red, green, blue: 0 to 255), and its height on each day: (days,)."""

    name: str
    colour: tuple[int, int, int]
    values: Tensor


def chart(lines: Sequence[Line], days: Sequence[str], title: str, size: tuple[int, int]) -> Image.Image:
    """Draw lines over the same days, with a grid, and their names in their colours beside the title.

    Args:
        lines: Over at least one day; later ones lie above earlier ones.
        days: What stands below: the first, the middle and the last of them.
        title: What stands above.
        size: Width and height in pixels.
    """
    values = torch.stack([line.values.double() for line in lines])  # (lines, days)
    low, high = values.min().item(), values.max().item()
    room = 0.05 * (high - low) or 1.0
    low, high = low - room, high + room
    width, height = size[0] - LEFT - RIGHT, size[1] - TOP - BOTTOM
    x = torch.linspace(0, width - 1, len(days)).tolist()
    y = ((high - values) / (high - low) * (height - 1)).tolist()

    plot = Image.new("RGB", (width * FINE, height * FINE), WHITE)
    pen = ImageDraw.Draw(plot)
    marks = [(value, (high - value) / (high - low) * (height - 1)) for value in grid(low, high)]
    for _, place in marks:
        pen.line([(0, place * FINE), (width * FINE, place * FINE)], PALE, FINE)
    for line, heights in zip(lines, y, strict=True):
        pen.line([(a * FINE, b * FINE) for a, b in zip(x, heights, strict=True)], line.colour, FINE + 1, "curve")
    sheet = Image.new("RGB", size, WHITE)
    sheet.paste(plot.resize((width, height), Image.Resampling.LANCZOS), (LEFT, TOP))

    pen = ImageDraw.Draw(sheet)
    pen.rectangle((LEFT - 1, TOP - 1, LEFT + width, TOP + height), outline=GREY)
    for value, place in marks:
        pen.text((LEFT - 6, TOP + place), f"{value:g}", BLACK, anchor="rm")
    for share, day, anchor in ((0, days[0], "la"), (0.5, days[len(days) // 2], "ma"), (1, days[-1], "ra")):
        pen.text((LEFT + share * width, TOP + height + 5), day, BLACK, anchor=anchor)
    pen.text((LEFT, 8), title, BLACK)
    right = float(size[0] - RIGHT)
    for line in reversed(lines):
        pen.text((right, 8), line.name, line.colour, anchor="ra")
        right -= pen.textlength(line.name) + 16
    return sheet


def grid(low: float, high: float) -> list[float]:
    """Round values between two, three to six of them, a step of 1, 2 or 5 times a power of ten apart."""
    power = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(power * times for times in (1, 2, 5, 10) if (high - low) / (power * times) <= 5)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]
