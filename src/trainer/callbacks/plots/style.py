"""Colors, fonts and text helpers of all drawings."""

from functools import cache

from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

Color = tuple[int, int, int]  # red, green, blue: 0 to 255

WHITE = (255, 255, 255)
BLACK = (30, 30, 30)
GRAY = (90, 90, 90)
LIGHT_GRAY = (225, 225, 225)
SILVER = (150, 150, 150)
ORANGE = (214, 69, 20)
BLUE = (31, 90, 160)
GREEN = (0, 110, 0)  # of correct predictions
RED = (200, 0, 0)  # of wrong predictions
# colors of many lines, e.g. one for each class (Tableau 10)
COLORS = (
    *((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189)),
    *((140, 86, 75), (227, 119, 194), (127, 127, 127), (188, 189, 34), (23, 190, 207)),
)


@cache
def load_font(size_pixels: int) -> FreeTypeFont:
    """Return the font of all drawings."""
    font = ImageFont.load_default(size_pixels)
    assert isinstance(font, FreeTypeFont)
    return font


# TensorBoard shows an image 350 pixels wide: texts of wider drawings have larger fonts
FONT = load_font(14)
LARGE_FONT = load_font(17)


def shorten_text(text: str, width: float, font: FreeTypeFont = FONT) -> str:
    """Return a text of one line; if it is wider than a number of pixels, its start and three dots."""
    line = " ".join(text.split())
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(f"{line}...") > width:
        line = line[:-1]
    return f"{line}..."


def draw_vertical_text(text: str, font: FreeTypeFont = FONT, color: Color = BLACK) -> Image.Image:
    """Return an image of a text that is read from the bottom to the top."""
    _, top, width, bottom = font.getbbox(text)
    image = Image.new("RGB", (max(1, round(width)), max(1, round(bottom - top + 2))), WHITE)
    ImageDraw.Draw(image).text((0, 1 - top), text, color, font)
    return image.rotate(90, expand=True)
