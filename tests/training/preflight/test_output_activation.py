"""Checks of the outputs of a network against the data, before the training."""

import os

import pytest

NETS = """
from math import prod

from torch import Tensor, nn


class Net(nn.Module):
    def __init__(self, spec, outputs=None, last="", max_positions=None):
        super().__init__()
        if spec.kind == "tokens":
            self.tokens = nn.Embedding(spec.vocabulary_size, 4)
            self.positions = nn.Embedding(max_positions or spec.shape[0], 4)
        width = 4 if spec.kind == "tokens" else prod(spec.shape)
        self.layer, self.last = nn.Linear(width, outputs or spec.output_size), last

    def forward(self, inputs):
        if hasattr(self, "tokens"):
            steps = inputs.new_ones(inputs.shape).cumsum(1) - 1
            inputs = (self.tokens(inputs) + self.positions(steps)).mean(1)
        outputs = self.layer(inputs.flatten(1))
        if self.last == "tuple":
            return outputs, inputs
        if self.last == "without the batch":
            return outputs.mean(0)
        if self.last == "squeezed":
            return outputs.squeeze(1)
        if self.last == "exp and sum":
            return outputs.exp() / outputs.exp().sum(1, keepdim=True)
        if self.last in ("softmax", "log_softmax"):
            return getattr(outputs, self.last)(1)
        return getattr(outputs, self.last)()[:, :] if self.last else outputs


class SmallEmbedding(Net):
    '''Has fewer vectors than there are tokens.'''

    def __init__(self, spec):
        super().__init__(spec)
        self.tokens = nn.Embedding(spec.vocabulary_size - 1, 4)
"""
USER_NET = ["model=mlp", "~model.net.hidden", "~model.net.activation", "~model.net.batch_norm", "~model.net.dropout"]
USER_NET += ["~model.net.residual", "~model.net.init", "model.net._target_=nets.Net"]
TABLE = ["data=table", "data.synthetic=true", "data.path=any.csv", "data.features=2", "data.task=regression"]
TEXTS = ["data=imdb", "data.synthetic=true", "data.max_length=100"]


@pytest.fixture
def check(command, tmp_path, monkeypatch):
    """Return a function that returns the output of `trainer check` as one line, and whether it found errors."""
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.setenv("COLUMNS", "250")

    def run_check(*overrides):
        outcome = command("check", *USER_NET, *overrides)
        assert "Traceback" not in outcome.err
        return " ".join(outcome.out.split()), bool(outcome.code)

    return run_check


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=digits", "+model.net.outputs=7"], "of shape (2, 7); data 'digits' expects (2, 10): examples, a logit"),
        (["data=digits", "+model.net.outputs=11"], "of shape (2, 11); data 'digits' expects (2, 10)"),
        (["data=xor", "+model.net.outputs=2"], "of shape (2, 2); data 'xor' expects (2, 1): examples, one logit"),
        (["data=line", "+model.net.outputs=2"], "of shape (2, 2); data 'line' expects (2, 1): examples, a value"),
        (["data=line", "+model.net.last=squeezed"], "of shape (2,); data 'line' expects (2, 1)"),
        (["data=digits", "+model.net.last='without the batch'"], "of shape (10,); data 'digits' expects (2, 10)"),
        (["data=digits", "+model.net.last=tuple"], "outputs are a tuple; data 'digits' expects (2, 10)"),
    ],
)
def test_outputs_of_an_invalid_shape_are_refused(overrides, message, check):
    output, has_errors = check(*overrides)
    assert has_errors
    assert "model.net" in output
    assert message in output


def test_a_run_is_refused_with_one_line(command, tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    refused = command(*USER_NET, "data=digits", "+model.net.outputs=7")
    assert refused.code == 1
    assert [line for line in refused.err.splitlines() if line] == [
        "error: model.net: outputs of shape (2, 7); data 'digits' expects (2, 10): examples, a logit for each class"
        "  (command line: +model.net.outputs=7)"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=digits", "+model.net.last=softmax"], "is a softmax, but the loss takes logits and applies a softmax"),
        (["data=digits", "+model.net.last='exp and sum'"], "is a softmax, but the loss takes logits"),
        (["data=digits", "+model.net.last=log_softmax"], "is a log-softmax, but the loss takes logits"),
        (["data=digits", "+model.net.last=sigmoid"], "is a sigmoid, but the loss takes logits and applies a softmax"),
        (["data=xor", "+model.net.last=sigmoid"], "is a sigmoid, but the loss takes logits and applies a sigmoid"),
        (["data=xor", "+model.net.last=relu"], "is a ReLU, but the loss takes logits"),
        ([*TABLE, "+model.net.last=relu"], "is a ReLU, but standardized targets have any sign and size"),
    ],
)
def test_a_last_operation_that_restricts_the_outputs_causes_a_warning(overrides, message, check):
    output, has_errors = check(*overrides)
    assert not has_errors
    assert f"warning: its last operation {message}" in output


@pytest.mark.parametrize(
    "overrides",
    [
        ["data=digits"],
        ["data=xor", "objective.loss=hinge", "+model.net.last=tanh"],  # can reach the margin of 1
        [*TABLE, "data.standardize_target=false", "+model.net.last=relu"],
        ["data=line", "+model.net.last=sigmoid"],
        TEXTS,
    ],
)
def test_outputs_that_suit_the_loss_cause_no_warning(overrides, check):
    output, has_errors = check(*overrides)
    assert not has_errors
    assert "warning" not in output


def test_the_warning_is_printed_before_the_first_epoch(command, tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    outcome = command(*USER_NET, "data=digits", "+model.net.last=softmax", "trainer.max_epochs=1")
    lines = outcome.out.splitlines()
    [index] = [i for i, line in enumerate(lines) if "warning: model.net: its last operation is a softmax" in line]
    assert index < next(i for i, line in enumerate(lines) if line.startswith("epoch 1/1"))


@pytest.mark.parametrize("overrides", [["+model.net.max_positions=99"], ["model.net._target_=nets.SmallEmbedding"]])
def test_the_dry_run_includes_the_longest_text_and_the_highest_token(overrides, check):
    output, has_errors = check(*TEXTS, *overrides)
    assert has_errors
    assert "a step on data 'imdb' fails" in output


def test_the_dry_run_includes_batches_of_one_example(command):
    overrides = ["data=digits", "model=mlp", "model.net.batch_norm=true", "data.batch_size=1"]
    refused = command("check", *overrides)
    assert refused.code == 1
    assert "Expected more than 1 value per channel" in " ".join(refused.out.split())


def test_a_last_batch_of_one_example_is_reported_with_the_keys_that_avoid_it(command):
    overrides = [
        "data=line",
        "data.points=27",
        "data.batch_size=16",
        "model=mlp",
        "model.net.batch_norm=true",
    ]  # 17 train
    outcome = command(*overrides)
    assert outcome.code == 1
    assert outcome.err.startswith("error: data.batch_size: batch norm needs two examples")
    assert "Traceback" not in outcome.err


def test_jobs_with_different_arguments_of_a_network_have_separate_dry_runs(command, tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    outcome = command("check", "--json", "-m", *USER_NET, "data=digits", "+model.net.outputs=10,7")
    assert outcome.code == 1
    assert '"jobs": [\n        1\n      ]' in outcome.out


def test_a_dry_run_is_repeated_if_the_code_has_changed(check, tmp_path):
    overrides = ["data=digits", "+model.net.last=softmax"]
    assert "warning" in check(*overrides)[0]
    (tmp_path / "nets.py").write_text(
        NETS.replace('("softmax", "log_softmax")', '("log_softmax",)').replace(
            "if self.last else outputs", 'if self.last and self.last != "softmax" else outputs'
        )
    )
    os.utime(tmp_path / "nets.py", ns=(1, 1))  # a different time, even if both writes have the same
    import sys

    del sys.modules["nets"]
    assert "warning" not in check(*overrides)[0]
