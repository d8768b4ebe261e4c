"""Sample quality: shares worked out by hand, and judges that are refused before the training."""

import json
import math

import pytest
import torch

from trainer.callbacks.sample_quality import quality
from trainer.core.spec import DataSpec
from trainer.task.objective import ClassObjective

QUICK = ["data=digits", "trainer.max_epochs=1"]
SMALL = ["model=gan", "model.net.generator=[8]", "model.net.discriminator=[8]", *QUICK]
JUDGED = [*SMALL, "callbacks=[default,sample_quality]", "callbacks.sample_quality.images=50"]


def objective(*names):
    size = 1 if len(names) == 2 else len(names)
    return ClassObjective(DataSpec("few", "image", (1, 2, 2), "classes", size, class_names=names))


def logits(*probabilities):
    return torch.tensor(probabilities).log()


def test_classes_shares_and_clear_ones_are_counted():
    outputs = logits([0.95, 0.05, 0.0], [0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.2, 0.8, 0.0], [0.99, 0.01, 0.0])
    assert quality(outputs, objective("a", "b", "c"), 0.89) == (2, 0.0, pytest.approx(3 / 5))
    assert quality(outputs, objective("a", "b", "c"), 0.97).confident_share == pytest.approx(1 / 5)


def test_the_rarest_class_counts():
    outputs = logits([0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.1, 0.1, 0.8])
    assert quality(outputs, objective("a", "b", "c"), 0.75) == (3, 0.25, 0.75)


def test_two_classes_are_sure_either_way():
    outputs = torch.tensor([[math.log(9)], [-math.log(99)], [0.1], [-0.1]])  # 0.9, 0.01, about a half
    assert quality(outputs, objective("no", "yes"), 0.8) == (2, 0.5, 0.5)


def test_a_judge_of_an_earlier_run_judges_the_test(command):
    assert command("model=linear", *QUICK, "hydra.run.dir=judge").code == 0
    outcome = command(*JUDGED, "callbacks.sample_quality.judge=judge", "hydra.run.dir=gan")
    assert outcome.code == 0, outcome.err
    metrics = json.loads((outcome.directory / "gan/result.json").read_text())["metrics"]
    assert 1 <= metrics["test/classes_seen"] <= 10
    assert 0 <= metrics["test/least_class_share"] <= 0.1
    assert 0 <= metrics["test/confident_share"] <= 1


def test_what_is_no_judge_is_refused_before_the_training(command):
    command("data=line", "model=linear", "trainer.max_epochs=1", "hydra.run.dir=other")
    command(*SMALL, "hydra.run.dir=gan")
    offer = "name the run directory of a classifier of data 'digits'"
    for judge, message in {
        "nowhere": f"no checkpoint and no run directory 'nowhere'\n  {offer}",
        "other": "'other' is no classifier of data 'digits', but a Linear of data 'line'",
        "gan": "'gan' is no classifier of data 'digits', but a GAN of data 'digits'",
    }.items():
        outcome = command(*JUDGED, f"callbacks.sample_quality.judge={judge}", f"hydra.run.dir=by_{judge}")
        assert outcome.code == 1
        assert f"error: callbacks.sample_quality.judge: {message}" in outcome.err
        assert "epoch 1" not in outcome.out


def test_a_network_that_makes_nothing_is_not_judged(command):
    outcome = command(*QUICK, "callbacks=[default,sample_quality]", "callbacks.sample_quality.judge=nowhere")
    assert outcome.code == 0, outcome.err
    assert "classes_seen" not in outcome.out
