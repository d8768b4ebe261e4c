"""Heat: weights above their mean as colour, over the patches of an image, behind words, or as a matrix."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Colour = tuple[int, int, int]
WHITE, BLACK, GREY, HOT = (255, 255, 255), (30, 30, 30), (110, 110, 110), (255, 110, 0)
SIDE, GAP, LINE = 160, 8, 18  # pixels: side of an image or matrix, space around things, height of a line of text
MOST_WORDS = 300  # of a text; the rest is left out
FONT = ImageFont.load_default(12)


def over_image(image: Tensor, weights: Tensor) -> Image.Image:
    """An image, and beside it in grey with its patches the hotter the more they weigh.

    Args:
        image: (channels, height, width), stretched to the full range of brightness.
        weights: Of the patches (rows, columns); the greatest is the hottest.
    """
    low, high = image.aminmax()
    shown = ((image - low) / (high - low).clamp(min=1e-9))[:3]  # (1 or 3, height, width)
    shown = F.interpolate(shown[None], (SIDE, SIDE))[0].expand(3, -1, -1)
    heat = F.interpolate(_heat(weights)[None, None], (SIDE, SIDE))[0]  # (1, SIDE, SIDE)
    grey = 0.25 + 0.6 * shown.mean(0, keepdim=True)  # neither black nor white, on which heat would not show
    hot = torch.tensor(HOT).view(3, 1, 1) / 255
    sheet = Image.new("RGB", (2 * SIDE + GAP, SIDE), WHITE)
    for place, pixels in enumerate((shown, grey + 0.75 * heat * (hot - grey))):
        sheet.paste(_image(pixels.permute(1, 2, 0)), (place * (SIDE + GAP), 0))
    return sheet


def behind_words(words: Sequence[str], weights: Tensor, width: int) -> Image.Image:
    """A text in lines, the background of each word the hotter the more it weighs.

    Args:
        words: At least one.
        weights: Of each word (words,); the greatest is the hottest.
        width: Of the picture, in pixels.
    """
    shown = [*words[:MOST_WORDS], *(["..."] if len(words) > MOST_WORDS else [])]
    heat = [*_heat(weights)[:MOST_WORDS].tolist(), 0.0]
    places, left, top = [], 0.0, 0
    for word in shown:
        length = FONT.getlength(word) + 6
        if left and left + length > width:
            left, top = 0.0, top + LINE
        places.append((left, top, length))
        left += length
    sheet = Image.new("RGB", (width, top + LINE), WHITE)
    pen = ImageDraw.Draw(sheet)
    for word, (left, top, length), share in zip(shown, places, heat, strict=False):
        pen.rectangle((left, top, left + length - 1, top + LINE - 2), fill=_warm(share))
        pen.text((left + 3, top + LINE // 2), word, BLACK, FONT, anchor="lm")
    return sheet


def matrix(weights: Tensor) -> Image.Image:
    """A map of attention: a row for each query, a column for each key, the cell the hotter the more it weighs.

    Args:
        weights: (queries, keys); the greatest is the hottest.
    """
    heat = F.interpolate(_heat(weights)[None, None], (SIDE, SIDE))[0, 0, :, :, None]  # (SIDE, SIDE, 1)
    white, hot = torch.tensor(WHITE) / 255, torch.tensor(HOT) / 255
    sheet = Image.new("RGB", (SIDE + LINE + 2, SIDE + LINE + 2), WHITE)
    sheet.paste(_image(white + heat * (hot - white)), (LINE, 1))
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((LINE - 1, 0, LINE + SIDE, SIDE + 1), outline=GREY)
    pen.text((LINE, SIDE + 4), f"is looked at: 1 to {weights.shape[1]}", GREY, FONT)
    aside = Image.new("RGB", (SIDE, LINE), WHITE)
    ImageDraw.Draw(aside).text((SIDE - 1, 1), f"looks: {weights.shape[0]} to 1", GREY, FONT, anchor="ra")
    sheet.paste(aside.rotate(90, expand=True), (0, 1))
    return sheet


def titled(picture: Image.Image, title: str, colour: Colour) -> Image.Image:
    """A picture with a line above it."""
    width = max(picture.width, int(FONT.getlength(title)) + 1)
    sheet = Image.new("RGB", (width, picture.height + LINE), WHITE)
    ImageDraw.Draw(sheet).text((0, 0), title, colour, FONT)
    sheet.paste(picture, (0, LINE))
    return sheet


def in_rows(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """At least one picture, on one sheet, so many in a row; a row is as high as its highest."""
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    width, heights = max(picture.width for picture in pictures) + GAP, [max(p.height for p in row) for row in rows]
    sheet = Image.new("RGB", (GAP + len(rows[0]) * width, GAP + sum(height + GAP for height in heights)), WHITE)
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        for place, picture in enumerate(row):
            sheet.paste(picture, (GAP + place * width, top))
        top += height + GAP
    return sheet


def _heat(weights: Tensor) -> Tensor:
    """Heat from 0, for what weighs the mean or less, to 1, for what weighs most; equal weights are all cold."""
    above = (weights.float() - weights.float().mean()).clamp(min=0)
    return above / above.max().clamp(min=1e-6)


def _warm(share: float) -> Colour:
    """Between white, at 0, and the hottest colour, at 1."""
    red, green, blue = (round(white + share * (hot - white)) for white, hot in zip(WHITE, HOT, strict=True))
    return red, green, blue


def _image(pixels: Tensor) -> Image.Image:
    """Numbers from 0 to 1 (height, width, 3) as an image."""
    return Image.fromarray((pixels * 255).round().byte().numpy())
