"""Metrics of each class against values computed by hand, and their images."""

import math
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim import SGD

from trainer.callbacks.classification_report import (
    BLUE,
    CELL_PIXELS,
    COLORS,
    MARGIN_PIXELS,
    ClassificationReport,
    compute_class_metrics,
    draw_confusion_matrix,
    draw_roc_curves,
)
from trainer.data.digits import Digits
from trainer.data.line import Line
from trainer.data.xor import XOR
from trainer.model.linear import Linear
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised


def run(tmp_path, data, callback=None, net=None):
    """Test with the callback; return the task, the metrics and the tags of the images."""
    task = Supervised(net or Linear(data.spec), make_objective(data.spec), partial(SGD, lr=0.01), constant)
    logger = TensorBoardLogger(tmp_path, name="", version="board")
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(accelerator="cpu", logger=logger, callbacks=[callback or ClassificationReport()], **quiet)
    trainer.test(task, data, verbose=False)
    logger.experiment.flush()
    board = EventAccumulator(str(tmp_path / "board"))
    board.Reload()
    return task, {name: value.item() for name, value in trainer.callback_metrics.items()}, board.Tags()["images"]


def test_class_metrics_are_computed_from_the_confusion_matrix():
    counts = torch.tensor([[3, 1, 0], [2, 4, 0], [0, 0, 0]])  # true class by row; the third never occurs
    numbers = {name: values.tolist() for name, values in compute_class_metrics(counts).items()}
    assert numbers["accuracy"][:2] == pytest.approx([3 / 4, 4 / 6])
    assert numbers["precision"][:2] == pytest.approx([3 / 5, 4 / 5])
    assert numbers["f1"][:2] == pytest.approx([6 / 9, 8 / 11])
    assert all(math.isnan(values[2]) for values in numbers.values())


def test_metrics_of_each_class_are_computed_over_all_batches(tmp_path):
    data = Digits(eval_batch_size=100)
    task, metrics, pictures = run(tmp_path, data)
    inputs, targets = data.splits["test"]
    predictions = task(data.prepare(inputs)).argmax(1)
    for digit in range(10):
        right = ((predictions == digit) & (targets == digit)).sum()
        assert metrics[f"test/accuracy/{digit}"] == pytest.approx((right / (targets == digit).sum()).item())
        if (predictions == digit).any():
            assert metrics[f"test/precision/{digit}"] == pytest.approx((right / (predictions == digit).sum()).item())
    assert set(pictures) == {"test/confusion_matrix", "test/roc"}


def test_one_logit_for_two_classes_gives_metrics_of_both(tmp_path):
    net = Linear(XOR(batch_size=4).spec)
    with torch.no_grad():
        net.layer.weight.copy_(torch.tensor([[1.0, 1.0]]))
        net.layer.bias.fill_(-0.5)  # predicts true except for (0, 0); wrong for (1, 1)
    _, metrics, pictures = run(tmp_path, XOR(batch_size=4), net=net)
    assert metrics["test/accuracy/false"] == 0.5
    assert metrics["test/accuracy/true"] == 1.0
    assert metrics["test/precision/true"] == pytest.approx(2 / 3)
    assert "test/confusion_matrix" in pictures


def test_logged_metrics_returns_the_names_that_are_logged(tmp_path):
    _, metrics, _ = run(tmp_path, Digits())
    assert set(ClassificationReport().logged_metrics(Digits())) == {name for name in metrics if name.count("/") > 1}


@pytest.mark.parametrize(
    ("data", "callback"), [(Line(), ClassificationReport()), (Digits(), ClassificationReport(max_classes=9))]
)
def test_regressions_and_too_many_classes_are_not_supported(tmp_path, data, callback):
    _, metrics, pictures = run(tmp_path, data, callback)
    assert not [name for name in metrics if name.count("/") > 1]
    assert pictures == []
    assert callback.logged_metrics(data) == []


def test_the_shade_of_a_cell_is_its_fraction_of_the_row():
    picture = np.asarray(draw_confusion_matrix(torch.tensor([[10, 0], [1, 3]]), ["no", "yes"]))

    def cell(row, column):
        return tuple(picture[MARGIN_PIXELS + row * CELL_PIXELS + 4, MARGIN_PIXELS + column * CELL_PIXELS + 4])

    assert cell(0, 0) == BLUE
    assert cell(0, 1) == (255, 255, 255)
    assert cell(1, 1) == tuple(round(255 + (full - 255) * 0.75) for full in BLUE)


def test_one_curve_is_drawn_for_two_classes():
    x = [torch.tensor([0.0, 0.0, 1.0])] * 2
    y = [torch.tensor([0.0, 1.0, 1.0])] * 2
    colors = {tuple(pixel) for pixel in np.asarray(draw_roc_curves(x, y, ["no", "yes"])).reshape(-1, 3)}
    assert COLORS[1] in colors
    assert COLORS[0] not in colors
    all_colors = {
        tuple(pixel) for pixel in np.asarray(draw_roc_curves([*x, x[0]], [*y, y[0]], ["a", "b", "c"])).reshape(-1, 3)
    }
    assert COLORS[2] in all_colors
