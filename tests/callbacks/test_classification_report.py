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
    ClassificationReport,
    compute_class_metrics,
)
from trainer.callbacks.plots.confusion_matrix import draw_confusion_matrix, find_cell_size, find_margin
from trainer.callbacks.plots.style import BLUE
from trainer.callbacks.plots.threshold_curves import compute_pr_curves, compute_roc_curves, draw_roc_curves
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
    assert set(pictures) == {"test/confusion_matrix", "test/roc", "test/precision_recall"}


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
    margin, cell_size = find_margin(["no", "yes"]), find_cell_size(2)

    def cell(row, column):
        return tuple(picture[margin + row * cell_size + 4, margin + column * cell_size + 4])

    assert cell(0, 0) == BLUE
    assert cell(0, 1) == (255, 255, 255)
    assert cell(1, 1) == tuple(round(255 + (full - 255) * 0.75) for full in BLUE)


@pytest.mark.parametrize("count", [3, 4321, 1234567])
def test_a_count_fits_into_its_cell_and_zeros_are_left_out(count):
    names = [*map(str, range(10))]
    picture = np.asarray(draw_confusion_matrix(torch.eye(10, dtype=torch.long) * count, names)).astype(int)
    margin, side = find_margin(names), find_cell_size(10)
    cell = picture[margin + 4 : margin + side - 4, margin + 4 : margin + side - 4]
    letters = (np.abs(cell - BLUE).sum(2) > 100).nonzero()[1]
    assert letters.min() > 0
    assert letters.max() < side - 9
    assert (picture[margin + 4 : margin + side - 4, margin + side + 4 : margin + 2 * side - 4] == 255).all()


def test_long_class_names_do_not_run_into_one_another():
    names = ["tested negative", "a name that is far too long for the margin of any image"]
    picture = draw_confusion_matrix(torch.tensor([[1, 2], [3, 4]]), names)
    assert find_margin(names) < 220
    assert picture.width == find_margin(names) + 2 * find_cell_size(2) + 8
    names_above = np.asarray(picture)[30 : find_margin(names) - 4, find_margin(names) :]
    is_blank = (names_above == 255).all((0, 2))
    assert is_blank[find_cell_size(2) - 20 : find_cell_size(2) + 20].all()  # between the middles of two cells


def test_areas_under_curves_agree_with_their_definitions():
    random = torch.Generator().manual_seed(0)
    targets = torch.randint(3, (50,), generator=random)
    scores = (torch.randn(50, 3, generator=random) + 2 * torch.eye(3)[targets]).softmax(1)
    names = ["a", "b", "c"]
    roc_areas, precisions = [], []
    for index in range(3):
        positive, negative = scores[targets == index, index], scores[targets != index, index]
        roc_areas.append((positive[:, None] > negative).float().mean().item())
        higher = [(int((positive >= score).sum()), int((negative >= score).sum())) for score in positive]
        precisions.append(sum(hits / (hits + others) for hits, others in higher) / len(positive))
    assert [curve.area for curve in compute_roc_curves(scores, targets, names)] == pytest.approx(roc_areas, rel=1e-4)
    assert [curve.area for curve in compute_pr_curves(scores, targets, names)] == pytest.approx(precisions, rel=1e-4)


def test_two_classes_have_one_curve_and_missing_classes_none():
    scores = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.3, 0.7, 0.0]])
    targets = torch.tensor([0, 1, 0])
    [curve] = compute_roc_curves(scores[:, :2], targets, ["no", "yes"])
    assert (curve.name, curve.area) == ("yes", 1.0)
    assert [curve.name for curve in compute_roc_curves(scores, targets, ["a", "b", "c"])] == ["a", "b"]
    assert draw_roc_curves([curve]).size == (640, 520)
