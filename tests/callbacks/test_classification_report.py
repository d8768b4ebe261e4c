"""Class report: numbers for each class, worked out by hand, and the pictures of the same."""

import math
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim import SGD

from trainer.callbacks.classification_report import BLUE, CELL, COLOURS, MARGIN, ClassReport, curves, matrix, per_class
from trainer.data.digits import Digits
from trainer.data.line import Line
from trainer.data.xor import XOR
from trainer.model.linear import Linear
from trainer.task.objective import objective_for
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised


def run(tmp_path, data, callback=None, net=None):
    """Test with the callback; returns the task, the metrics and the tags of the pictures."""
    task = Supervised(net or Linear(data.spec), objective_for(data.spec), partial(SGD, lr=0.01), constant)
    logger = TensorBoardLogger(tmp_path, name="", version="board")
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(accelerator="cpu", logger=logger, callbacks=[callback or ClassReport()], **quiet)
    trainer.test(task, data, verbose=False)
    logger.experiment.flush()
    board = EventAccumulator(str(tmp_path / "board"))
    board.Reload()
    return task, {name: value.item() for name, value in trainer.callback_metrics.items()}, board.Tags()["images"]


def test_numbers_of_each_class_come_from_the_confusion_matrix():
    counts = torch.tensor([[3, 1, 0], [2, 4, 0], [0, 0, 0]])  # true class by row; the third never occurs
    numbers = {name: values.tolist() for name, values in per_class(counts).items()}
    assert numbers["accuracy"][:2] == pytest.approx([3 / 4, 4 / 6])
    assert numbers["precision"][:2] == pytest.approx([3 / 5, 4 / 5])
    assert numbers["f1"][:2] == pytest.approx([6 / 9, 8 / 11])
    assert all(math.isnan(values[2]) for values in numbers.values())


def test_the_test_judges_each_class_over_all_batches(tmp_path):
    data = Digits(eval_batch_size=100)
    task, metrics, pictures = run(tmp_path, data)
    inputs, targets = data.splits["test"]
    said = task(data.prepare(inputs)).argmax(1)
    for digit in range(10):
        right = ((said == digit) & (targets == digit)).sum()
        assert metrics[f"test/accuracy/{digit}"] == pytest.approx((right / (targets == digit).sum()).item())
        if (said == digit).any():
            assert metrics[f"test/precision/{digit}"] == pytest.approx((right / (said == digit).sum()).item())
    assert set(pictures) == {"test/confusion", "test/roc"}


def test_two_classes_told_by_one_logit_are_judged_as_two(tmp_path):
    net = Linear(XOR(batch_size=4).spec)
    with torch.no_grad():
        net.layer.weight.copy_(torch.tensor([[1.0, 1.0]]))
        net.layer.bias.fill_(-0.5)  # says true but for (0, 0), and is wrong of (1, 1)
    _, metrics, pictures = run(tmp_path, XOR(batch_size=4), net=net)
    assert metrics["test/accuracy/false"] == 0.5
    assert metrics["test/accuracy/true"] == 1.0
    assert metrics["test/precision/true"] == pytest.approx(2 / 3)
    assert "test/confusion" in pictures


def test_the_names_it_promises_are_the_names_it_logs(tmp_path):
    _, metrics, _ = run(tmp_path, Digits())
    assert set(ClassReport().logged(Digits())) == {name for name in metrics if name.count("/") > 1}


@pytest.mark.parametrize(("data", "callback"), [(Line(), ClassReport()), (Digits(), ClassReport(most_classes=9))])
def test_values_and_too_many_classes_get_nothing(tmp_path, data, callback):
    _, metrics, pictures = run(tmp_path, data, callback)
    assert not [name for name in metrics if name.count("/") > 1]
    assert pictures == []
    assert callback.logged(data) == []


def test_a_cell_of_the_matrix_is_as_dark_as_its_share_of_the_row():
    picture = np.asarray(matrix(torch.tensor([[10, 0], [1, 3]]), ["no", "yes"]))

    def cell(row, column):
        return tuple(picture[MARGIN + row * CELL + 4, MARGIN + column * CELL + 4])

    assert cell(0, 0) == BLUE
    assert cell(0, 1) == (255, 255, 255)
    assert cell(1, 1) == tuple(round(255 + (full - 255) * 0.75) for full in BLUE)


def test_of_two_classes_one_curve_is_drawn():
    x = [torch.tensor([0.0, 0.0, 1.0])] * 2
    y = [torch.tensor([0.0, 1.0, 1.0])] * 2
    colours = {tuple(pixel) for pixel in np.asarray(curves(x, y, ["no", "yes"])).reshape(-1, 3)}
    assert COLOURS[1] in colours
    assert COLOURS[0] not in colours
    both = {tuple(pixel) for pixel in np.asarray(curves([*x, x[0]], [*y, y[0]], ["a", "b", "c"])).reshape(-1, 3)}
    assert COLOURS[2] in both
