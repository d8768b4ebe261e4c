"""The direction of a metric is inferred from its name or from torchmetrics, and never guessed."""

import inspect

import pytest
import torchmetrics
from torchmetrics import Metric, MetricCollection, classification, clustering, image, regression, retrieval, text

from trainer.core.errors import UserError
from trainer.core.logged_metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS
from trainer.core.metric_direction import base_name, collect_metric_directions, infer_direction, resolve_mode

SMALL = """
    val/loss train/loss_epoch val_loss valLoss val/generator_loss val/loss_best val/loss/dataloader_idx_0 val/head1/loss
    val/mae val/rmse val/MeanSquaredError val/error val/error_rate val/top5_error val/perplexity val/wer val/cer
    val/word_error_rate val/fid val/FrechetInceptionDistance val/nll val/negative_log_likelihood val/brier_score
    val/false_positive_rate val/relative_rmse val/loss_per_token val/bits_per_dim test/mae_price seconds
"""
LARGE = """
    val/accuracy val_acc val/accuracy_best val/top_1_accuracy val/accuracy_top5 val/MulticlassAccuracy test/recall/cat
    test/precision/error val/f1 val/f1_macro val/auroc val/r2 val/R2Score val/mAP val/map50 val/mIoU val/recall_at_10
    val/ndcg@10 val/log_likelihood val/signal_to_noise_ratio val/bleu test/classes_seen test/confident_fraction
"""
UNKNOWN = """
    val/obj val/energy val/real lr grad_norm epoch val/lossless_share val/mirror_count val/accuracy_gap val/loss_ratio
    val/neg_mean_squared_error val/1-accuracy val/time_to_accuracy val/steps_per_second val/dropout_rate
    val/attack_success_rate
"""
EXPECTED = {
    **dict.fromkeys(SMALL.split(), "min"),
    **dict.fromkeys(LARGE.split(), "max"),
    **dict.fromkeys(UNKNOWN.split()),
}


@pytest.mark.parametrize("metric", EXPECTED)
def test_the_direction_of_a_metric_is_inferred_from_its_name_or_unknown(metric):
    assert infer_direction(metric) == EXPECTED[metric]


def test_every_metric_of_an_objective_has_a_direction():
    directions = {name: infer_direction(f"val/{name}") for name in (*CLASSIFICATION_METRICS, *REGRESSION_METRICS)}
    assert {name for name, direction in directions.items() if direction == "min"} == {"brier", "ece", "mae", "rmse"}
    assert None not in directions.values()


def test_no_name_contradicts_torchmetrics():
    modules = (torchmetrics, classification, clustering, image, regression, retrieval, text)
    classes = {name: value for module in modules for name, value in vars(module).items() if inspect.isclass(value)}
    stated = {
        name: "max" if value.higher_is_better else "min"
        for name, value in classes.items()
        if issubclass(value, Metric) and isinstance(value.higher_is_better, bool)
    }
    assert len(stated) > 100
    contradicting = {name for name, direction in stated.items() if infer_direction(name) not in (None, direction)}
    assert contradicting == {"DaviesBouldinScore"}  # its documentation states that a low score is good


class Energy(Metric):
    higher_is_better = False

    def update(self) -> None: ...
    def compute(self) -> None: ...


def test_a_metric_states_its_direction_and_a_contradiction_to_its_name_makes_it_unknown():
    class Objective:
        def metrics(self):
            return MetricCollection({"energy": Energy(), "accuracy": Energy(), "loss": Energy()})

    measured = collect_metric_directions(Objective())
    assert measured == {"energy": "min", "accuracy": "min", "loss": "min"}
    assert infer_direction("val/energy_best", measured) == "min"
    assert infer_direction("val/accuracy", measured) is None
    assert infer_direction("val/loss", measured) == "min"
    assert collect_metric_directions(object()) == {}


def test_the_base_name_has_neither_stage_nor_best():
    assert [base_name(name) for name in ("val/obj_best", "test/obj", "obj", "head/obj")] == ["obj"] * 3 + ["head/obj"]


def test_the_mode_auto_is_the_direction_and_needs_one():
    assert [resolve_mode("key", "val/accuracy", mode) for mode in ("auto", "min")] == ["max", "min"]
    with pytest.raises(UserError, match=r"key: it is unknown whether .* of 'val/obj' are good; expected min or max"):
        resolve_mode("key", "val/obj", "auto")
