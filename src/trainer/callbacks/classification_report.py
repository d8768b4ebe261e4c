"""Classes: how well each is told from the others, in numbers and in pictures."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from PIL import Image, ImageDraw
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassROC
from torchmetrics.utilities import dim_zero_cat

from trainer.callbacks.plots.line_chart import BLACK, COLOURS, GREY, SILVER, WHITE, Line, chart
from trainer.callbacks.plots.tensorboard import boards, number, show, tabulate
from trainer.core.spec import Batch, DataSpec
from trainer.task.objective import Objective

BLUE = (31, 90, 160)
CELL, MARGIN = 46, 84  # pixels: side of a cell of the matrix, room for names
CURVES = (640, 480)


class ClassReport(Callback):
    """Judge each class by itself in the test; be silent for data without classes.

    Logs, for each class NAME, `test/accuracy/NAME` (the share of its examples that are told; its recall),
    `test/precision/NAME` (the share of what is called NAME that is NAME; NaN where nothing is) and `test/f1/NAME`, and
    shows them as a table, `test/classes`. Draws `test/confusion` (a row for each true class) and `test/roc` (each class
    against the rest), and gives TensorBoard's tab PR curves `test/pr/NAME`.

    Args:
        most_classes: Data with more classes get neither.
    """

    affects_training = False

    def __init__(self, *, most_classes: int = 20) -> None:
        self.most_classes = most_classes
        self._seen: list[tuple[Tensor, Tensor]] = []  # outputs and targets of each batch

    def logged(self, data: Any) -> list[str]:
        """Names of all metrics that are logged with these data; callbacks may wait for any of them."""
        names = self._names(data.spec)
        return [f"test/{metric}/{name}" for metric in ("accuracy", "precision", "f1") for name in names]

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seen = []

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        if self._objective(pl_module):
            self._seen.append((outputs, batch[1]))

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        objective = self._objective(pl_module)
        if not objective:
            return
        names = objective.spec.class_names
        told = MulticlassConfusionMatrix(len(names), validate_args=False).to(pl_module.device)
        ranked = MulticlassROC(len(names), validate_args=False).to(pl_module.device)
        if self._seen:
            outputs, targets = (torch.cat(part) for part in zip(*self._seen, strict=True))
            scores = objective.scores(outputs)
            told.update(objective.predictions(outputs), targets)
            ranked.update(scores if scores.dim() == 2 else torch.stack([1 - scores, scores], 1), targets)
        self._seen, counts = [], told.compute()  # of all processes
        judged = per_class(counts)
        for metric, values in judged.items():
            pl_module.log_dict({f"test/{metric}/{n}": v for n, v in zip(names, values, strict=True)}, sync_dist=True)
        columns = [counts.sum(1).tolist(), *(values.tolist() for values in judged.values())]
        rows = [(name, *map(number, row)) for name, *row in zip(names, *columns, strict=True)]
        tabulate(("class", "examples", *judged), rows, "test/classes", trainer)
        show(partial(matrix, counts.cpu(), names), "test/confusion", trainer)
        with ranked.sync_context():
            scores, targets = (dim_zero_cat(part).cpu() for part in (ranked.preds, ranked.target))
        _show_precision(scores, targets, names, trainer)
        x, y, _ = ranked.compute()
        show(partial(curves, [*x], [*y], names), "test/roc", trainer)

    def _objective(self, task: LightningModule) -> Objective | None:
        """A task's, if it has one for classes that are told apart here."""
        objective = getattr(task, "objective", None)
        return objective if isinstance(objective, Objective) and self._names(objective.spec) else None

    def _names(self, spec: DataSpec) -> Sequence[str]:
        return spec.class_names if len(spec.class_names) <= self.most_classes else ()


def _show_precision(scores: Tensor, targets: Tensor, names: Sequence[str], trainer: Trainer) -> None:
    """Precision over recall of each class (of two, of the second alone), where TensorBoard lets one set the threshold.

    Shapes:
        scores: (examples, classes)
        targets: (examples,)
    """
    for board in boards(trainer):
        for place, name in enumerate(names):
            if place or len(names) > 2:
                board.add_pr_curve(f"test/pr/{name}", targets == place, scores[:, place], trainer.global_step)


def per_class(counts: Tensor) -> dict[str, Tensor]:
    """Accuracy (recall), precision and F1 of each class (classes,), from a confusion matrix (true, predicted)."""
    right, true, said = counts.diag().double(), counts.sum(1), counts.sum(0)
    return {"accuracy": right / true, "precision": right / said, "f1": 2 * right / (true + said)}


def matrix(counts: Tensor, names: Sequence[str]) -> Image.Image:
    """The confusion matrix: examples by true class (row) and predicted class (column), shaded by the share of the row.

    Args:
        counts: (classes, classes), integers.
        names: Of the classes.
    """
    side = CELL * len(names)
    sheet = Image.new("RGB", (MARGIN + side + 8, MARGIN + side + 8), WHITE)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN - 6, MARGIN - 6), "true \\ predicted", GREY, anchor="rs")
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    for row, name in enumerate(names):
        middle = MARGIN + row * CELL + CELL / 2
        pen.text((MARGIN - 6, middle), name[:12], BLACK, anchor="rm")
        # names stand upright above their columns: longer than a cell is wide
        label = Image.new("RGB", (MARGIN - 12, 14), WHITE)
        ImageDraw.Draw(label).text((0, 1), name[:12], BLACK)
        sheet.paste(label.rotate(90, expand=True), (round(middle) - 7, 6))
        for column in range(len(names)):
            share = float(shares[row, column])
            left, top = MARGIN + column * CELL, MARGIN + row * CELL
            shade = tuple(round(255 + (full - 255) * share) for full in BLUE)
            pen.rectangle((left, top, left + CELL, top + CELL), shade, outline=SILVER)
            text = str(int(counts[row, column]))
            pen.text((left + CELL / 2, middle), text, WHITE if share > 0.5 else BLACK if share else SILVER, anchor="mm")
    return sheet


def curves(x: Sequence[Tensor], y: Sequence[Tensor], names: Sequence[str]) -> Image.Image:
    """ROC curves: the share of a class that is found (up) for the share of the others that is taken for it (along).

    Args:
        x: False positive rates, one tensor (points,) a class.
        y: True positive rates.
        names: Of the classes; of two, the second alone is drawn, as the first is its mirror image.
    """

    def thin(points: Tensor) -> Tensor:  # a point for each threshold, thousands of them, is more than there are pixels
        return points.cpu()[torch.linspace(0, len(points) - 1, min(len(points), 2 * CURVES[0])).round().long()]

    chance = Line("", SILVER, torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]))
    drawn = [
        Line(name[:10], COLOURS[place % len(COLOURS)], thin(down), thin(along))
        for place, (name, along, down) in enumerate(zip(names, x, y, strict=True))
        if place or len(names) > 2
    ]
    return chart([chance, *drawn], None, "ROC", CURVES)
