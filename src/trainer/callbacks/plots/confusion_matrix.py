"""Image of a confusion matrix."""

from collections.abc import Sequence

from PIL import Image, ImageDraw
from torch import Tensor

from trainer.callbacks.plots.style import (
    BLACK,
    BLUE,
    GRAY,
    LARGE_FONT,
    SILVER,
    WHITE,
    draw_vertical_text,
    load_font,
    shorten_text,
)

MIN_CELL_PIXELS = 52
MIN_SIDE_PIXELS = 208  # of all cells together
GAP_PIXELS = 8
TITLE_PIXELS = 28  # height of the title of an axis
MAX_NAME_PIXELS = 150
COUNT_FONT_PIXELS = 24


def draw_confusion_matrix(counts: Tensor, names: Sequence[str]) -> Image.Image:
    """Return an image of the confusion matrix, its cells shaded by their fraction of the row; zeros are left out.

    Args:
        counts: Integers (classes, classes): examples by true class (row) and predicted class (column).
        names: Class names.
    """
    cell = find_cell_size(len(names))
    margin = find_margin(names)
    side = cell * len(names)
    image = Image.new("RGB", (margin + side + GAP_PIXELS, margin + side + GAP_PIXELS), WHITE)
    pen = ImageDraw.Draw(image)
    pen.text((margin + side / 2, GAP_PIXELS), "predicted class", GRAY, LARGE_FONT, anchor="ma")
    title = draw_vertical_text("true class", LARGE_FONT, GRAY)
    image.paste(title, (GAP_PIXELS, margin + (side - title.height) // 2))
    fractions = counts / counts.sum(1, keepdim=True).clamp(min=1)
    for row, name in enumerate(names):
        middle = margin + (row + 0.5) * cell
        text = shorten_text(name, MAX_NAME_PIXELS, LARGE_FONT)
        pen.text((margin - GAP_PIXELS, middle), text, BLACK, LARGE_FONT, anchor="rm")
        label = draw_vertical_text(text, LARGE_FONT)  # wider than a cell
        image.paste(label, (round(middle - label.width / 2), margin - GAP_PIXELS - label.height))
        for column in range(len(names)):
            fraction = float(fractions[row, column])
            x = margin + column * cell
            y = margin + row * cell
            shade = tuple(round(255 + (full - 255) * fraction) for full in BLUE)
            pen.rectangle((x, y, x + cell, y + cell), shade, outline=SILVER)
            if fraction:
                _write_count(
                    pen, int(counts[row, column]), (x + cell / 2, middle), cell, WHITE if fraction > 0.5 else BLACK
                )
    return image


def find_cell_size(classes: int) -> int:
    """Return the side of a cell in pixels."""
    return max(MIN_CELL_PIXELS, MIN_SIDE_PIXELS // classes)


def find_margin(names: Sequence[str]) -> int:
    """Return the width of the names and titles on the left and on top."""
    widths = [LARGE_FONT.getlength(shorten_text(name, MAX_NAME_PIXELS, LARGE_FONT)) for name in names]
    return 2 * GAP_PIXELS + TITLE_PIXELS + round(max(widths))


def _write_count(
    pen: ImageDraw.ImageDraw, count: int, center: tuple[float, float], cell: int, color: tuple[int, int, int]
) -> None:
    """Write a number in a cell, with a smaller font if it is too long."""
    font = load_font(COUNT_FONT_PIXELS)
    width = font.getlength(str(count))
    if width > cell - GAP_PIXELS:
        font = load_font(int(COUNT_FONT_PIXELS * (cell - GAP_PIXELS) / width))
    pen.text(center, str(count), color, font, anchor="mm")
