"""ROC and precision-recall curves of all thresholds, one for each class."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torchmetrics.functional.classification import binary_precision_recall_curve, binary_roc

from trainer.callbacks.plots.line_chart import Axes, Line, draw_chart
from trainer.callbacks.plots.style import COLORS, SILVER, WHITE

SIZE_PIXELS = (640, 520)
MAX_POINTS = SIZE_PIXELS[0]  # there is one point for each threshold: more than the chart has pixels


class Curve(NamedTuple):
    """A curve of a class: positions (points,), values (points,) and the area under it."""

    name: str
    color: int
    x: Tensor
    y: Tensor
    area: float


def compute_roc_curves(scores: Tensor, targets: Tensor, names: Sequence[str]) -> list[Curve]:
    """Return the true positive rate over the false positive rate of each class against the others.

    Of two classes, only the second has a curve, as that of the first is its mirror image. Classes that all or no
    examples have, are left out.

    Shapes:
        scores: (examples, classes)
        targets: (examples,)
    """
    curves = []
    for index, name, positive in _split_classes(targets, names):
        x, y, _ = binary_roc(scores[:, index], positive.long(), validate_args=False)
        curves.append(Curve(name, index, x, y, torch.trapezoid(y, x).item()))
    return curves


def compute_pr_curves(scores: Tensor, targets: Tensor, names: Sequence[str]) -> list[Curve]:
    """Return precision over recall of each class with its average precision; see `compute_roc_curves`."""
    curves = []
    for index, name, positive in _split_classes(targets, names):
        y, x, _ = binary_precision_recall_curve(scores[:, index], positive.long(), validate_args=False)
        curves.append(Curve(name, index, x, y, (-(x[1:] - x[:-1]) * y[:-1]).sum().item()))
    return curves


def draw_roc_curves(curves: Sequence[Curve]) -> Image.Image:
    """Return a chart of at least one ROC curve; its title contains the mean area under the curves."""
    chance = Line("", SILVER, torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]))
    axes = Axes(f"ROC: {_format_mean('AUC', curves)}", "false positive rate", "true positive rate")
    return draw_chart([chance, *map(_make_line, curves)], axes, SIZE_PIXELS)


def draw_pr_curves(curves: Sequence[Curve]) -> Image.Image:
    """Return a chart of at least one precision-recall curve; its title contains the mean average precision."""
    corners = Line("", WHITE, torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]), dots=True)  # both axes from 0 to 1
    axes = Axes(f"Precision and recall: {_format_mean('average precision', curves)}", "recall", "precision")
    return draw_chart([corners, *map(_make_line, curves)], axes, SIZE_PIXELS)


def _split_classes(targets: Tensor, names: Sequence[str]) -> list[tuple[int, str, Tensor]]:
    """Return index, name and examples (as a mask) of each class that has a curve."""
    indices = [1] if len(names) == 2 else range(len(names))
    masks = [(index, names[index], targets == index) for index in indices]
    return [(index, name, mask) for index, name, mask in masks if 0 < int(mask.sum()) < len(mask)]


def _format_mean(area: str, curves: Sequence[Curve]) -> str:
    mean = sum(curve.area for curve in curves) / len(curves)
    return f"mean {area} {mean:.4f}" if len(curves) > 1 else f"{area} {mean:.4f}"


def _make_line(curve: Curve) -> Line:
    rows = torch.linspace(0, len(curve.x) - 1, min(len(curve.x), MAX_POINTS)).round().long()
    color = COLORS[curve.color % len(COLORS)]
    return Line(f"{curve.name} {curve.area:.3f}", color, curve.y[rows], curve.x[rows])
