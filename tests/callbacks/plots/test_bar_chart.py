"""Lengths and directions of bars."""

import numpy as np
import torch

from trainer.callbacks.plots.bar_chart import PLOT_PIXELS, ROW_PIXELS, TITLE_PIXELS, draw_bars
from trainer.callbacks.plots.heatmap import COLD_COLOR, HEAT_COLOR


def count_columns(picture, row, color):
    """Return the number of columns with a color at the upper edge of a bar, where there is no error bar."""
    y = TITLE_PIXELS + row * ROW_PIXELS + ROW_PIXELS // 2 - 5
    return (np.asarray(picture)[y] == color).all(1).sum()


def test_bars_are_as_long_as_their_means_and_negative_ones_have_another_color():
    picture = draw_bars(["a", "b", "c"], torch.tensor([0.3, 0.1, -0.1]), torch.tensor([0.0, 0.0, 0.0]), "title")
    longest, short, negative = (
        count_columns(picture, *bar) for bar in ((0, HEAT_COLOR), (1, HEAT_COLOR), (2, COLD_COLOR))
    )
    assert abs(longest - 0.75 * PLOT_PIXELS) <= 2
    assert abs(short - 0.25 * PLOT_PIXELS) <= 2
    assert abs(negative - 0.25 * PLOT_PIXELS) <= 2
    assert picture.height == TITLE_PIXELS + 3 * ROW_PIXELS + 8


def test_error_bars_are_within_the_plot_and_zeros_have_no_bar():
    picture = draw_bars(["a"], torch.zeros(1), torch.ones(1), "title")
    assert count_columns(picture, 0, HEAT_COLOR) == 0
    y = TITLE_PIXELS + ROW_PIXELS // 2
    assert abs((np.asarray(picture)[y] == (30, 30, 30)).all(1)[:-130].sum() - PLOT_PIXELS) < 20


def test_long_names_are_cut():
    widths = {draw_bars(["m" * length], torch.ones(1), torch.zeros(1), "").width for length in (40, 90)}
    assert len(widths) == 1
