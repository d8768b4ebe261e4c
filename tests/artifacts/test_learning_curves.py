"""Sentence about the learning curves of a run."""

import math
import random

import pytest

from trainer.artifacts.learning_curves import describe_curves, describe_run_curves
from trainer.artifacts.run_record import RunRecord


def describe(validation, training=None, steps_per_epoch=10):
    """Describe losses that are logged at the end of each epoch."""
    training = training or [1 / (epoch + 1) for epoch in range(len(validation))]
    steps = [(epoch + 1) * steps_per_epoch - 1 for epoch in range(len(validation))]
    series = {"train/loss": [*zip(steps, training, strict=True)], "val/loss": [*zip(steps, validation, strict=True)]}
    return describe_curves({**series, "val/accuracy": [(0, 1.0)]}, steps_per_epoch)


def test_a_rising_validation_loss_with_a_falling_training_loss_is_overfitting():
    validation = [1.0, 0.8, 0.6, 0.5, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert describe(validation) == "val/loss rose from 0.4 (epoch 5) to 0.9, while train/loss fell: overfitting"


def test_a_rise_of_both_losses_is_no_overfitting():
    losses = [1.0, 0.8, 0.6, 0.5, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert describe(losses, losses) == "val/loss rose from 0.4 (epoch 5) to 0.9; a lower optimizer.lr may help"


def test_a_loss_that_falls_until_the_end_may_fall_further():
    validation = [1 - 0.05 * epoch for epoch in range(10)]
    assert describe(validation) == "val/loss was still falling at the end: more epochs may improve it"


def test_a_steady_fall_is_no_noise():
    validation = [0.65, 0.55, 0.48, 0.43, 0.4, 0.38]
    assert describe(validation) == "val/loss was still falling at the end: more epochs may improve it"


def test_a_loss_that_converges_has_a_plateau():
    validation = [1 + math.exp(-epoch / 2) for epoch in range(20)]
    # within 2 % of the range of the last value: exp(-epoch / 2) < 0.02 from index 8, and the noise is less
    assert describe(validation) == "val/loss has hardly changed since epoch 10"


def test_a_noisy_loss_that_is_lowest_at_the_end_is_not_called_constant():
    assert describe([1.332, 0.899, 0.957, 0.878, 0.838]) == ""


def test_a_loss_that_does_not_fall_is_no_success():
    assert describe([2.303, 2.302, 2.301, 2.3, 2.3]) == (
        "val/loss has hardly changed, from 2.303 to 2.3: another optimizer.lr may help, if the targets are predictable"
    )


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_neither_overfitting_nor_progress(seed):
    noise = random.Random(seed)
    validation = [2.0, 1.5, *(1 + noise.gauss(0, 0.05) for _ in range(98))]
    assert describe(validation).startswith("val/loss has hardly changed since epoch ")


@pytest.mark.parametrize("validation", [[1.0, 0.5, 0.6, 0.7], [1.0, math.nan, 0.5, 0.6, 0.7], [1.0, math.inf] * 3])
def test_short_and_infinite_curves_are_not_described(validation):
    assert describe(validation) == ""


@pytest.mark.parametrize("missing", ["train/loss", "val/loss"])
def test_curves_without_both_losses_are_not_described(missing):
    points = [(step, float(step)) for step in range(10)]
    assert describe_curves({name: points for name in ("train/loss", "val/loss") if name != missing}, 1) == ""


def test_losses_of_foreign_modules_are_found():
    points = [(step, 1 - 0.05 * step) for step in range(10)]
    assert "still falling" in describe_curves({"train_loss": points, "val_loss": points}, 1)


@pytest.mark.parametrize("content", [None, "step,val/loss\nx,y\n"])
def test_missing_and_invalid_files_are_not_described(tmp_path, content):
    if content:
        (tmp_path / "metrics.csv").write_text(content)
    assert describe_run_curves(RunRecord(tmp_path), {"steps": 10, "epochs": 2}) == ""
