"""Plots of predictions and targets over the input or over the target."""

from functools import partial

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim import SGD

from trainer.callbacks.plots.line_chart import (
    BOTTOM_PIXELS,
    LEFT_PIXELS,
    LEGEND_ROW_PIXELS,
    RIGHT_PIXELS,
    TOP_PIXELS,
)
from trainer.callbacks.plots.style import BLACK, ORANGE, SILVER
from trainer.callbacks.regression_plot import PLOT_SIZE_PIXELS, RegressionPlot, draw_regression
from trainer.data.line import Line
from trainer.data.xor import XOR
from trainer.model.linear import Linear
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised


def log_images(tmp_path, data, **settings):
    task = Supervised(Linear(data.spec), make_objective(data.spec), partial(SGD, lr=0.01), constant)
    logger = TensorBoardLogger(tmp_path, name="", version="board")
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    callback = RegressionPlot(**settings)
    pl.Trainer(accelerator="cpu", logger=logger, callbacks=[callback], **quiet).test(task, data, verbose=False)
    logger.experiment.flush()
    board = EventAccumulator(str(tmp_path / "board"))
    board.Reload()
    return board.Tags()["images"]


def find_color(picture, color):
    """Return rows and columns of the pixels of a color, without the title and the legend."""
    top = TOP_PIXELS + LEGEND_ROW_PIXELS
    plot = np.asarray(picture)[top + 2 : -BOTTOM_PIXELS, LEFT_PIXELS + 2 : -RIGHT_PIXELS - 2].astype(int)
    return (np.abs(plot - color).sum(2) < 30).nonzero()


def test_only_regressions_are_plotted(tmp_path):
    assert log_images(tmp_path / "line", Line(eval_batch_size=7), examples=10) == ["test/regression_plot"]
    assert log_images(tmp_path / "xor", XOR(batch_size=4)) == []


def test_predictions_over_a_single_input_are_a_line_sorted_by_the_input():
    inputs = torch.tensor([[2.0], [0.0], [1.0]])
    picture = draw_regression(inputs, predictions=inputs[:, 0] * 2, targets=torch.tensor([0.0, 0.0, 0.0]))
    rows, columns = find_color(picture, ORANGE)
    assert columns.min() < 40  # from the smallest input to the largest, increasing
    assert columns.max() > PLOT_SIZE_PIXELS[0] - LEFT_PIXELS - RIGHT_PIXELS - 40
    assert rows[columns == columns.min()].mean() > rows[columns == columns.max()].mean() + 250
    assert len(find_color(picture, BLACK)[0]) > 15  # the dots


def test_predictions_of_several_inputs_are_plotted_over_the_target():
    targets = torch.tensor([0.0, 1.0, 2.0])
    picture = draw_regression(torch.zeros(3, 4), predictions=targets, targets=targets)
    rows, columns = find_color(picture, ORANGE)
    assert np.corrcoef(rows, columns)[0, 1] < -0.99
    assert len(find_color(picture, SILVER)[0]) > 100  # the diagonal itself
