"""Value pictures: predictions beside the truth, over the input or over the truth."""

from functools import partial

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim import SGD

from trainer.callbacks.plots.line_chart import BLACK, LEFT, ORANGE, RIGHT, SILVER, TOP
from trainer.callbacks.regression_plot import SIZE, ValuePictures, draw
from trainer.data.line import Line
from trainer.data.xor import XOR
from trainer.model.linear import Linear
from trainer.task.objective import objective_for
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised


def pictures(tmp_path, data, **settings):
    task = Supervised(Linear(data.spec), objective_for(data.spec), partial(SGD, lr=0.01), constant)
    logger = TensorBoardLogger(tmp_path, name="", version="board")
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    callback = ValuePictures(**settings)
    pl.Trainer(accelerator="cpu", logger=logger, callbacks=[callback], **quiet).test(task, data, verbose=False)
    logger.experiment.flush()
    board = EventAccumulator(str(tmp_path / "board"))
    board.Reload()
    return board.Tags()["images"]


def where(picture, colour):
    """Rows and columns of the plot that have a colour; the title, where its name stands, is left out."""
    plot = np.asarray(picture)[TOP + 2 : -24, LEFT + 2 : -RIGHT - 2].astype(int)
    return (np.abs(plot - colour).sum(2) < 30).nonzero()


def test_values_get_a_picture_and_classes_none(tmp_path):
    assert pictures(tmp_path / "line", Line(eval_batch_size=7), examples=10) == ["test/values"]
    assert pictures(tmp_path / "xor", XOR(batch_size=4)) == []


def test_over_a_single_input_the_prediction_is_a_line_whatever_the_order_of_the_examples():
    inputs = torch.tensor([[2.0], [0.0], [1.0]])
    picture = draw(inputs, predictions=inputs[:, 0] * 2, targets=torch.tensor([0.0, 0.0, 0.0]))
    rows, columns = where(picture, ORANGE)
    assert columns.min() < 40  # from the least input to the greatest, and up
    assert columns.max() > SIZE[0] - LEFT - RIGHT - 40
    assert rows[columns == columns.min()].mean() > rows[columns == columns.max()].mean() + 250
    assert len(where(picture, BLACK)[0]) > 15  # the dots


def test_over_several_inputs_the_prediction_stands_over_the_truth_and_what_is_right_on_the_diagonal():
    targets = torch.tensor([0.0, 1.0, 2.0])
    picture = draw(torch.zeros(3, 4), predictions=targets, targets=targets)
    rows, columns = where(picture, ORANGE)
    assert np.corrcoef(rows, columns)[0, 1] < -0.99
    assert len(where(picture, SILVER)[0]) > 100  # the diagonal itself
