"""Horizontal bars with error bars, drawn with Pillow."""

from collections.abc import Sequence

from PIL import Image, ImageDraw
from torch import Tensor

from trainer.callbacks.plots.heatmap import COLD_COLOR, HEAT_COLOR
from trainer.callbacks.plots.style import BLACK, FONT, GRAY, SILVER, WHITE, shorten_text
from trainer.core.formatting import format_number

ROW_PIXELS = 22
BAR_PIXELS = 14  # height of a bar
PLOT_PIXELS = 360  # width of the bars
MARGIN_PIXELS = 8
TITLE_PIXELS = 26
NUMBER_PIXELS = 130  # width of the numbers on the right
MAX_NAME_PIXELS = 260


def draw_bars(names: Sequence[str], means: Tensor, stds: Tensor, title: str) -> Image.Image:
    """Return a chart with one bar for each mean, its standard deviation as an error bar, and both as numbers.

    Args:
        names: At least one name.
        means: Lengths of the bars (bars,); negative ones point to the left.
        stds: Standard deviations (bars,).
        title: Title of the chart.
    """
    labels = [shorten_text(name, MAX_NAME_PIXELS) for name in names]
    left = MARGIN_PIXELS + round(max(map(FONT.getlength, labels))) + MARGIN_PIXELS
    low = min(0.0, (means - stds).min().item())
    high = max(0.0, (means + stds).max().item())
    scale = PLOT_PIXELS / ((high - low) or 1.0)
    height = TITLE_PIXELS + len(labels) * ROW_PIXELS + MARGIN_PIXELS
    chart = Image.new("RGB", (left + PLOT_PIXELS + NUMBER_PIXELS, height), WHITE)
    pen = ImageDraw.Draw(chart)
    zero = left - low * scale
    pen.text((MARGIN_PIXELS, 6), title, BLACK, FONT)
    pen.line([(zero, TITLE_PIXELS - 2), (zero, height - MARGIN_PIXELS)], SILVER)
    for row, (label, mean, std) in enumerate(zip(labels, means.tolist(), stds.tolist(), strict=True)):
        y = TITLE_PIXELS + row * ROW_PIXELS + ROW_PIXELS // 2
        end = zero + mean * scale
        color = HEAT_COLOR if mean > 0 else COLD_COLOR
        pen.rectangle((min(zero, end), y - BAR_PIXELS // 2, max(zero, end), y + BAR_PIXELS // 2), color)
        pen.line([(end - std * scale, y), (end + std * scale, y)], BLACK, 2)
        pen.text((left - MARGIN_PIXELS, y), label, BLACK, FONT, anchor="rm")
        pen.text((left + PLOT_PIXELS + MARGIN_PIXELS, y), f"{format_number(mean)} ± {std:.2g}", GRAY, FONT, anchor="lm")
    return chart
