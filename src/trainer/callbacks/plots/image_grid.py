"""Images below their titles, in rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn.functional import interpolate

from trainer.callbacks.plots.style import FONT, Color, shorten_text

TILE_PIXELS = 72  # side of an image
MAX_TITLE_PIXELS = 144  # width of a title; the rest is left out
TITLE_LINE_PIXELS = 17
GAP_PIXELS = 8


def make_image_grid(
    images: Tensor, titles: Sequence[tuple[str, Color]], columns: int, groups: Sequence[int] | None = None
) -> Image.Image:
    """Return a grid of images below their titles.

    Args:
        images: (n, channels, height, width); each is scaled to the full range of brightness.
        titles: Text and color of each title; long lines are shortened.
        columns: Number of images in a row.
        groups: Group of each image; each group starts a new row. None is one group.
    """
    lines = [[shorten_text(line, MAX_TITLE_PIXELS) for line in title.split("\n")] for title, _ in titles]
    title_height = TITLE_LINE_PIXELS * max(map(len, lines))
    width = GAP_PIXELS + max(TILE_PIXELS, *(round(FONT.getlength(line)) for title in lines for line in title))
    height = GAP_PIXELS + title_height + TILE_PIXELS
    cells = arrange_tiles(groups or [0] * len(titles), columns)
    num_rows = cells[-1][0] + 1
    num_columns = max(column for _, column in cells) + 1
    canvas = np.full((num_rows * height + GAP_PIXELS, num_columns * width + GAP_PIXELS, 3), 255, np.uint8)
    corners = [(GAP_PIXELS + column * width, GAP_PIXELS + row * height) for row, column in cells]
    tiles = make_thumbnails(images, (TILE_PIXELS, TILE_PIXELS), "nearest-exact")
    for (x, y), tile in zip(corners, tiles, strict=True):
        canvas[y + title_height :, x:][:TILE_PIXELS, :TILE_PIXELS] = tile
    image = Image.fromarray(canvas)
    pen = ImageDraw.Draw(image)
    for (x, y), title, (_, color) in zip(corners, lines, titles, strict=True):
        for number, line in enumerate(title):
            pen.text((x, y + number * TITLE_LINE_PIXELS), line, color, FONT)
    return image


def arrange_tiles(groups: Sequence[int], columns: int) -> list[tuple[int, int]]:
    """Return row and column of each tile; each group starts a new row."""
    cells: list[tuple[int, int]] = []
    for index, group in enumerate(groups):
        row, column = cells[-1] if cells else (-1, columns)
        is_new_row = column + 1 >= columns or group != groups[index - 1]
        cells.append((row + 1, 0) if is_new_row else (row, column + 1))
    return cells


def make_thumbnails(images: Tensor, size: tuple[int, int], mode: str) -> NDArray[np.uint8]:
    """Resize images (n, channels, height, width) to (n, *size, 3), and scale each to the full range of brightness.

    Args:
        images: Images of one channel, which is drawn gray, or of three or more.
        size: New height and width.
        mode: Argument of `torch.nn.functional.interpolate`.
    """
    images = images.float()
    low, high = (edge[:, None, None, None] for edge in images.flatten(1).aminmax(dim=1))
    scaled = (images - low) / (high - low).clamp(min=1e-9) * 255  # (n, channels, height, width)
    if scaled.shape[2:] != size:
        scaled = interpolate(scaled, size, mode=mode, antialias=mode == "bilinear")
    return scaled[:, :3].byte().permute(0, 2, 3, 1).expand(-1, -1, -1, 3).numpy()
