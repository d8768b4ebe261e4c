"""Charts about the predictions of a classification."""

import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from trainer.artifacts.run_record import RunRecord
from trainer.artifacts.stored_predictions import Predictions, write_predictions
from trainer.reports.class_charts import (
    build_prediction_blocks,
    compute_reliability,
    draw_class_metrics,
    tabulate_confusions,
)


def make_predictions(classes):
    random = torch.Generator().manual_seed(0)
    scores = torch.rand(200, classes, generator=random).softmax(1)
    target = torch.randint(classes, (200,), generator=random)
    if classes == 2:
        return Predictions((scores[:, 1] > 0.5).long(), scores[:, 1].contiguous(), target)
    return Predictions(scores.argmax(1), scores, target)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_calibration_error_is_the_metric_ece(classes):
    predictions = make_predictions(classes)
    if classes == 2:
        expected = binary_calibration_error(predictions.scores, predictions.target, n_bins=15)
    else:
        expected = multiclass_calibration_error(predictions.scores, predictions.target, classes, n_bins=15)
    reliability = compute_reliability(predictions)
    assert reliability.error == pytest.approx(expected.item(), abs=1e-6)
    assert reliability.examples.sum() == 200


def test_a_bin_has_the_mean_probability_and_the_correct_fraction():
    scores = torch.tensor([[0.90, 0.10], [0.92, 0.08], [0.3, 0.7]])
    reliability = compute_reliability(Predictions(scores.argmax(1), scores, torch.tensor([0, 1, 1])))
    assert reliability.confidence.tolist() == pytest.approx([0.7, 0.91])
    assert reliability.accuracy.tolist() == [1.0, 0.5]
    assert reliability.error == pytest.approx((0.3 * 1 + 0.41 * 2) / 3)


def test_confusions_are_sorted_by_frequency():
    target = torch.tensor([0, 0, 0, 0, 1, 1, 2])
    predicted = torch.tensor([1, 1, 0, 2, 0, 1, 2])
    [table] = tabulate_confusions(Predictions(predicted, predicted, target), ["cat", "dog", "cow"])
    assert table.rows[0] == ["cat", "dog", "2", "50.0%"]
    assert [row[2] for row in table.rows] == ["2", "1", "1"]
    assert table.note == "4 of 7 test examples are wrong"
    assert tabulate_confusions(Predictions(target, target, target), ["cat", "dog", "cow"]) == []


def test_each_class_has_a_bar_for_each_metric_and_its_numbers_as_text():
    chart = draw_class_metrics({"<cat>": {"accuracy": 0.25, "f1": 0.5}, "dog": {"accuracy": 1.0}})
    assert chart.numbers.rows == [["<cat>", "0.25", "0.5"], ["dog", "1", ""]]
    assert (
        'role="img" aria-label="Chart: Metrics of each class. class, accuracy, f1; &lt;cat&gt;, 0.25, 0.5; '
        in chart.svg
    )
    assert "<cat>" not in chart.svg


def test_regressions_and_runs_without_stored_predictions_have_no_blocks(tmp_path):
    assert build_prediction_blocks(RunRecord(tmp_path)) == []
    values = torch.rand(5, 1)
    write_predictions(tmp_path, Predictions(values, values, values), "")
    assert build_prediction_blocks(RunRecord(tmp_path)) == []
