"""Sample quality against values computed by hand, and classifiers that are rejected before the training."""

import json
import math

import pytest
import torch

from trainer.callbacks.sample_quality import compute_quality
from trainer.core.spec import DataSpec
from trainer.task.objective import ClassificationObjective

QUICK = ["data=digits", "trainer.max_epochs=1"]
SMALL = ["model=gan", "model.net.generator=[8]", "model.net.discriminator=[8]", *QUICK]
WITH_CALLBACK = [*SMALL, "callbacks=[default,sample_quality]", "callbacks.sample_quality.images=50"]


def objective(*names):
    size = 1 if len(names) == 2 else len(names)
    return ClassificationObjective(DataSpec("few", "image", (1, 2, 2), "classification", size, class_names=names))


def logits(*probabilities):
    return torch.tensor(probabilities).log()


def test_classes_and_confident_images_are_counted():
    outputs = logits([0.95, 0.05, 0.0], [0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.2, 0.8, 0.0], [0.99, 0.01, 0.0])
    assert compute_quality(outputs, objective("a", "b", "c"), 0.89) == (2, 0.0, pytest.approx(3 / 5))
    assert compute_quality(outputs, objective("a", "b", "c"), 0.97).confident_fraction == pytest.approx(1 / 5)


def test_the_fraction_of_the_rarest_class_is_returned():
    outputs = logits([0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.1, 0.1, 0.8])
    assert compute_quality(outputs, objective("a", "b", "c"), 0.75) == (3, 0.25, 0.75)


def test_both_of_two_classes_can_be_confident():
    outputs = torch.tensor([[math.log(9)], [-math.log(99)], [0.1], [-0.1]])  # 0.9, 0.01, about a half
    assert compute_quality(outputs, objective("no", "yes"), 0.8) == (2, 0.5, 0.5)


def test_a_classifier_of_an_earlier_run_is_used_in_the_test(command):
    assert command("model=linear", *QUICK, "hydra.run.dir=classifier").code == 0
    outcome = command(*WITH_CALLBACK, "callbacks.sample_quality.classifier=classifier", "hydra.run.dir=gan")
    assert outcome.code == 0, outcome.err
    metrics = json.loads((outcome.directory / "gan/result.json").read_text())["metrics"]
    assert 1 <= metrics["test/classes_seen"] <= 10
    assert 0 <= metrics["test/min_class_fraction"] <= 0.1
    assert 0 <= metrics["test/confident_fraction"] <= 1


@pytest.mark.slow
def test_runs_without_a_suitable_classifier_are_rejected_before_the_training(command):
    command("data=line", "model=linear", "trainer.max_epochs=1", "hydra.run.dir=other")
    command(*SMALL, "hydra.run.dir=gan")
    hint = "expected the run directory of a classifier of data 'digits'"
    for run, message in {
        "nowhere": f"no checkpoint and no run directory 'nowhere'\n  {hint}",
        "other": "'other' is a Linear of data 'line'; expected a classifier of data 'digits'",
        "gan": "'gan' is a GAN of data 'digits'; expected a classifier of data 'digits'",
    }.items():
        outcome = command(*WITH_CALLBACK, f"callbacks.sample_quality.classifier={run}", f"hydra.run.dir=with_{run}")
        assert outcome.code == 1
        assert f"error: callbacks.sample_quality.classifier: {message}" in outcome.err
        assert "epoch 1" not in outcome.out


def test_the_callback_does_nothing_for_networks_without_samples(command):
    outcome = command(*QUICK, "callbacks=[default,sample_quality]", "callbacks.sample_quality.classifier=nowhere")
    assert outcome.code == 0, outcome.err
    assert "classes_seen" not in outcome.out
