"""Positions of lines, ticks, legend and titles in charts drawn with Pillow."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from trainer.callbacks.plots.line_chart import (
    BOTTOM_PIXELS,
    LEFT_PIXELS,
    RIGHT_PIXELS,
    TOP_PIXELS,
    Axes,
    Line,
    arrange_legend,
    compute_ticks,
    draw_chart,
)
from trainer.callbacks.plots.style import BLACK, ORANGE


def find_color(picture, color):
    """Return rows and columns of the pixels of a color."""
    return (np.abs(np.asarray(picture).astype(int) - color).sum(2) < 30).nonzero()


def test_a_line_extends_over_all_days_and_rises_with_its_values():
    size = (300, 200)
    axes = Axes("", position_names=["a", "b", "c"])
    picture = np.asarray(draw_chart([Line("", ORANGE, torch.tensor([1.0, 2.0, 3.0]))], axes, size))
    rows, columns = find_color(picture, ORANGE)
    assert columns.min() <= LEFT_PIXELS + 4
    assert columns.max() >= 300 - RIGHT_PIXELS - 5
    height = 200 - TOP_PIXELS - BOTTOM_PIXELS
    # the margins above and below are a twentieth of the range of the values
    assert TOP_PIXELS + 0.05 / 1.1 * height == pytest.approx(rows.min(), abs=4)
    assert TOP_PIXELS + 1.05 / 1.1 * height == pytest.approx(rows.max(), abs=4)
    assert rows[columns == columns.min()].mean() > rows[columns == columns.max()].mean()


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (437, 806, [500, 600, 700, 800]),
        (0.012, 0.031, [0.015, 0.02, 0.025, 0.03]),
        (-3, 3, [-2, 0, 2]),
    ],
)
def test_ticks_are_round_values(low, high, values):
    assert compute_ticks(low, high) == pytest.approx(values)


@pytest.mark.parametrize("values", [[5.0, 5.0], [5.0]])
def test_a_constant_line_and_a_single_day_are_drawn(values):
    axes = Axes("title", "day", "price", ["2020-01-01"] * len(values))
    assert draw_chart([Line("price", BLACK, torch.tensor(values))], axes, (400, 300)).size == (400, 300)


def test_a_legend_has_as_many_rows_as_necessary_and_no_entries_without_a_name():
    values = torch.tensor([1.0, 2.0])
    lines = [Line(f"class {number}", BLACK, values) for number in range(10)]
    rows = arrange_legend([Line("", ORANGE, values), *lines], 400)
    assert [text for row in rows for _, text, _ in row] == [line.name for line in lines]
    assert len(rows) > 1
    assert all(first[0] + 60 < second[0] for row in rows for first, second in pairwise(row))


def test_the_titles_of_both_axes_are_drawn():
    lines = [Line("", ORANGE, torch.tensor([1.0, 2.0]))]
    charts = [draw_chart(lines, axes, (400, 300)) for axes in (Axes(""), Axes("", "true", "predicted"))]
    plain, titled = map(np.asarray, charts)
    rows, columns = (plain != titled).any(2).nonzero()
    assert set(np.unique(columns[rows < 300 - BOTTOM_PIXELS])) <= {*range(30)}  # on the left
    assert rows.max() > 300 - 30
