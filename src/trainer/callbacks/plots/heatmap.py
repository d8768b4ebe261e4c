"""Heatmaps of weights over images, behind words, or as a matrix."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from trainer.callbacks.plots.style import BLACK, FONT, GRAY, WHITE, Color, draw_vertical_text

HEAT_COLOR = (255, 110, 0)
COLD_COLOR = (60, 130, 255)  # of negative weights
SIDE_PIXELS = 160  # of an image or matrix
GAP_PIXELS = 8
LINE_HEIGHT_PIXELS = 20
MAX_TOKENS = 300  # of a text; the rest is omitted


def draw_image_heatmap(image: Tensor, weights: Tensor, *, smooth: bool = False) -> Image.Image:
    """Return an image next to a gray copy with the heat of its patches; only weights above the mean are colored.

    Args:
        image: (channels, height, width), scaled to the full range of brightness.
        weights: Weights of the patches (rows, columns).
        smooth: Whether weights are interpolated between the centers of the patches. Defaults to False.
    """
    low, high = image.aminmax()
    rgb = ((image - low) / (high - low).clamp(min=1e-9))[:3]  # (1 or 3, height, width)
    rgb = F.interpolate(rgb[None], (SIDE_PIXELS, SIDE_PIXELS))[0].expand(3, -1, -1)
    heat = _resize_heat(weights, "bilinear" if smooth else "nearest")
    gray = 0.25 + 0.6 * rgb.mean(0, keepdim=True)  # neither black nor white, to make heat visible
    hot = torch.tensor(HEAT_COLOR).view(3, 1, 1) / 255
    canvas = Image.new("RGB", (2 * SIDE_PIXELS + GAP_PIXELS, SIDE_PIXELS), WHITE)
    for index, pixels in enumerate((rgb, gray + 0.75 * heat * (hot - gray))):
        canvas.paste(_to_image(pixels.permute(1, 2, 0)), (index * (SIDE_PIXELS + GAP_PIXELS), 0))
    return canvas


def draw_text_heatmap(tokens: Sequence[str], weights: Tensor, width: int, *, signed: bool = False) -> Image.Image:
    """Return an image of a text in lines, with the heat of each token as its background.

    Args:
        tokens: At least one token.
        weights: Weights of the tokens (tokens,).
        width: Width of the image in pixels.
        signed: Whether negative weights have another color, and 0 has none. By default only weights above the mean are
            colored.
    """
    labels = [*tokens[:MAX_TOKENS], *(["..."] if len(tokens) > MAX_TOKENS else [])]
    scaled = weights.float() / weights.abs().max().clamp(min=1e-9) if signed else _normalize_weights(weights)
    heat = [*scaled[:MAX_TOKENS].tolist(), 0.0]
    boxes = _arrange_words(labels, width)
    canvas = Image.new("RGB", (width, boxes[-1][1] + LINE_HEIGHT_PIXELS), WHITE)
    pen = ImageDraw.Draw(canvas)
    for label, (x, y, length), weight in zip(labels, boxes, heat, strict=False):
        pen.rectangle((x, y, x + length - 1, y + LINE_HEIGHT_PIXELS - 2), fill=_interpolate_color(weight))
        pen.text((x + 3, y + LINE_HEIGHT_PIXELS // 2), label, BLACK, FONT, anchor="lm")
    return canvas


def _arrange_words(words: Sequence[str], width: int) -> list[tuple[float, int, float]]:
    """Return the left and upper border and the length of each word, in lines of at most a width in pixels."""
    boxes = []
    x = 0.0
    y = 0
    for word in words:
        length = FONT.getlength(word) + 6
        if x and x + length > width:
            x = 0.0
            y += LINE_HEIGHT_PIXELS
        boxes.append((x, y, length))
        x += length
    return boxes


def draw_matrix_heatmap(weights: Tensor) -> Image.Image:
    """Return an image of attention weights (queries, keys), one row for each query."""
    heat = _resize_heat(weights)[0, :, :, None]  # (SIDE, SIDE, 1)
    white = torch.tensor(WHITE) / 255
    hot = torch.tensor(HEAT_COLOR) / 255
    canvas = Image.new("RGB", (SIDE_PIXELS + LINE_HEIGHT_PIXELS + 2, SIDE_PIXELS + LINE_HEIGHT_PIXELS + 2), WHITE)
    canvas.paste(_to_image(white + heat * (hot - white)), (LINE_HEIGHT_PIXELS, 1))
    pen = ImageDraw.Draw(canvas)
    pen.rectangle((LINE_HEIGHT_PIXELS - 1, 0, LINE_HEIGHT_PIXELS + SIDE_PIXELS, SIDE_PIXELS + 1), outline=GRAY)
    pen.text((LINE_HEIGHT_PIXELS, SIDE_PIXELS + 4), f"key: 1 to {weights.shape[1]}", GRAY, FONT)
    canvas.paste(draw_vertical_text(f"query: {weights.shape[0]} to 1", FONT, GRAY), (0, 1))
    return canvas


def add_title(image: Image.Image, title: str, color: Color) -> Image.Image:
    """Return an image with a title above it."""
    width = max(image.width, int(FONT.getlength(title)) + 1)
    canvas = Image.new("RGB", (width, image.height + LINE_HEIGHT_PIXELS), WHITE)
    ImageDraw.Draw(canvas).text((0, 0), title, color, FONT)
    canvas.paste(image, (0, LINE_HEIGHT_PIXELS))
    return canvas


def arrange_in_rows(images: Sequence[Image.Image], columns: int) -> Image.Image:
    """Return one image with all images in rows; each row has the height of its highest image."""
    rows = [images[start : start + columns] for start in range(0, len(images), columns)]
    step = max(image.width for image in images) + GAP_PIXELS
    heights = [max(image.height for image in row) for row in rows]
    size = (GAP_PIXELS + len(rows[0]) * step, GAP_PIXELS + sum(height + GAP_PIXELS for height in heights))
    canvas = Image.new("RGB", size, WHITE)
    y = GAP_PIXELS
    for row, height in zip(rows, heights, strict=True):
        for index, image in enumerate(row):
            canvas.paste(image, (GAP_PIXELS + index * step, y))
        y += height + GAP_PIXELS
    return canvas


def _normalize_weights(weights: Tensor) -> Tensor:
    """Map weights to heat: 0 for the mean and below, 1 for the largest; 0 for all if they are equal."""
    above = (weights.float() - weights.float().mean()).clamp(min=0)
    return above / above.max().clamp(min=1e-6)


def _resize_heat(weights: Tensor, mode: str = "nearest") -> Tensor:
    """Return the heat of a matrix of weights as an image (1, SIDE, SIDE)."""
    return F.interpolate(_normalize_weights(weights)[None, None], (SIDE_PIXELS, SIDE_PIXELS), mode=mode)[0]


def _interpolate_color(heat: float) -> Color:
    """Return the color of a heat from -1 (cold) over 0 (white) to 1 (hot)."""
    full = HEAT_COLOR if heat > 0 else COLD_COLOR
    red, green, blue = (round(white + abs(heat) * (end - white)) for white, end in zip(WHITE, full, strict=True))
    return red, green, blue


def _to_image(pixels: Tensor) -> Image.Image:
    """Convert values from 0 to 1 (height, width, 3) to an image."""
    return Image.fromarray((pixels * 255).round().byte().numpy())
