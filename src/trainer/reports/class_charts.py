"""Charts and tables about the predictions of a classification."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from torch import Tensor

from trainer.artifacts.run_record import RunRecord
from trainer.artifacts.stored_predictions import Predictions, read_predictions
from trainer.core.errors import UserError
from trainer.core.formatting import format_number
from trainer.core.logged_metrics import CALIBRATION_BINS
from trainer.core.metric_name import MetricName
from trainer.reports.document import Block, Chart, Table
from trainer.reports.svg_charts import DIM_COLOR, placeholder_color, render_svg

MAX_CONFUSIONS = 10
MAX_HEIGHT_INCHES = 9.0


class Reliability(NamedTuple):
    """Mean probability, fraction of correct predictions and examples of each bin (bins,), and the error of both."""

    confidence: Tensor
    accuracy: Tensor
    examples: Tensor
    error: float


def build_prediction_blocks(record: RunRecord) -> list[Block]:
    """Return metrics of classes, calibration and frequent confusions of the stored test predictions of a run."""
    by_class: dict[str, dict[str, float]] = {}
    for name, value in record.metrics.items():
        stage, metric, label = MetricName.parse(name)
        if stage == "test" and label:
            by_class.setdefault(label, {})[metric] = value
    blocks: list[Block] = [draw_class_metrics(by_class)] if by_class else []
    try:
        predictions, _ = read_predictions(record.path)
    except UserError:  # too large, or of an external task
        return blocks
    if predictions.preds.is_floating_point() or not len(predictions):
        return blocks
    reliability = compute_reliability(predictions)
    return [*blocks, draw_reliability(reliability), *tabulate_confusions(predictions, [*by_class])]


def draw_class_metrics(by_class: dict[str, dict[str, float]]) -> Chart:
    """Return bars of each metric of each class."""
    names = [*by_class]
    metrics = [*dict.fromkeys(metric for values in by_class.values() for metric in values)]
    rows = [[name, *(format_number(values.get(metric)) for metric in metrics)] for name, values in by_class.items()]

    def draw(axes: Axes) -> None:
        height = 0.8 / len(metrics)
        for index, metric in enumerate(metrics):
            y = [row + (index + 0.5) * height - 0.4 for row in range(len(names))]
            values = [by_class[name].get(metric, 0.0) for name in names]
            axes.barh(y, values, height, color=placeholder_color(index))
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(left=0)

    header = ["class", *metrics]
    height = min(MAX_HEIGHT_INCHES, 0.7 + 0.38 * len(names))
    svg = render_svg("Metrics of each class", draw, [header, *rows], height=height)
    legend = [(metric, index) for index, metric in enumerate(metrics)]
    return Chart("Metrics of each class (test)", svg, legend, Table(header, rows))


def compute_reliability(predictions: Predictions) -> Reliability:
    """Return the calibration of the predicted class, or of the second of two classes, in bins of equal width.

    The error is the expected calibration error, the metric `ece`.
    """
    scores = predictions.scores.double()
    if scores.dim() == 1:
        confidence, correct = scores, predictions.target.double()
    else:
        confidence, classes = scores.max(1)
        correct = (classes == predictions.target).double()
    bins = (confidence * CALIBRATION_BINS).long().clamp(0, CALIBRATION_BINS - 1)
    examples = bins.bincount(minlength=CALIBRATION_BINS)
    means = [torch.bincount(bins, values, CALIBRATION_BINS) / examples.clamp(min=1) for values in (confidence, correct)]
    error = ((means[0] - means[1]).abs() * examples).sum() / len(confidence)
    used = examples > 0
    return Reliability(means[0][used], means[1][used], examples[used], error.item())


def draw_reliability(reliability: Reliability) -> Chart:
    """Return a reliability diagram; the area of a point shows its number of examples."""
    columns = [column.tolist() for column in reliability[:3]]
    rows = [
        [format_number(confidence), format_number(accuracy), str(count)]
        for confidence, accuracy, count in zip(*columns, strict=True)
    ]
    largest = max(columns[2])

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], "--", color=DIM_COLOR, linewidth=1)
        axes.plot(columns[0], columns[1], color=placeholder_color(0), linewidth=1)
        areas = [12 + 120 * count / largest for count in columns[2]]
        axes.scatter(columns[0], columns[1], areas, placeholder_color(0))
        axes.set_xlabel("mean predicted probability")
        axes.set_ylabel("correct fraction")
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)

    title = f"Calibration (test): ECE {format_number(reliability.error)}"
    header = ["mean probability", "correct fraction", "examples"]
    svg = render_svg("Reliability diagram", draw, [header, *rows])
    note = "Dashed: perfect calibration. A point below it: the network is too confident. Area: number of examples."
    return Chart(title, svg, [], Table(header, rows), note)


def tabulate_confusions(predictions: Predictions, names: Sequence[str]) -> list[Table]:
    """Return a table of the most frequent pairs of true and predicted class; empty without wrong predictions.

    Args:
        predictions: Predicted classes.
        names: Class names; if they are not as many as classes, numbers are used.
    """
    target = predictions.target.long()
    wrong = target != predictions.preds
    count = int(torch.cat([target, predictions.preds]).max()) + 1
    if len(names) < count:
        names = [str(number) for number in range(count)]
    pairs = Counter(zip(target[wrong].tolist(), predictions.preds[wrong].tolist(), strict=True)).most_common()
    totals = target.bincount(minlength=count)
    rows = [
        [names[true], names[predicted], str(frequency), f"{frequency / int(totals[true]):.1%}"]
        for (true, predicted), frequency in pairs
    ]
    note = f"{int(wrong.sum()):,} of {len(target):,} test examples are wrong"
    if len(rows) > MAX_CONFUSIONS:
        note += f"; the {MAX_CONFUSIONS} most frequent of {len(rows)} pairs"
    header = ["true class", "predicted", "examples", "of the true class"]
    return [Table(header, rows[:MAX_CONFUSIONS], note)] if rows else []
