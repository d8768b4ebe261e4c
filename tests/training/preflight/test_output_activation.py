"""What a network returns is compared with what the data ask for, before anything is trained."""

import os

import pytest

NETS = """
from math import prod

from torch import Tensor, nn


class Net(nn.Module):
    def __init__(self, spec, outputs=None, last="", places=None):
        super().__init__()
        if spec.kind == "tokens":
            self.tokens = nn.Embedding(spec.vocabulary_size, 4)
            self.places = nn.Embedding(places or spec.shape[0], 4)
        width = 4 if spec.kind == "tokens" else prod(spec.shape)
        self.layer, self.last = nn.Linear(width, outputs or spec.output_size), last

    def forward(self, inputs):
        if hasattr(self, "tokens"):
            steps = inputs.new_ones(inputs.shape).cumsum(1) - 1
            inputs = (self.tokens(inputs) + self.places(steps)).mean(1)
        outputs = self.layer(inputs.flatten(1))
        if self.last == "tuple":
            return outputs, inputs
        if self.last == "without the batch":
            return outputs.mean(0)
        if self.last == "squeezed":
            return outputs.squeeze(1)
        if self.last == "softmax by hand":
            return outputs.exp() / outputs.exp().sum(1, keepdim=True)
        if self.last in ("softmax", "log_softmax"):
            return getattr(outputs, self.last)(1)
        return getattr(outputs, self.last)()[:, :] if self.last else outputs


class Fewer(Net):
    '''Fewer vectors of tokens than there are tokens.'''

    def __init__(self, spec):
        super().__init__(spec)
        self.tokens = nn.Embedding(spec.vocabulary_size - 1, 4)
"""
OWN = ["model=mlp", "~model.net.hidden", "~model.net.activation", "~model.net.batch_norm", "~model.net.dropout"]
OWN += ["~model.net.residual", "~model.net.initialisation", "model.net._target_=nets.Net"]
TABLE = ["data=table", "data.synthetic=true", "data.path=any.csv", "data.features=2", "data.task=values"]
TEXTS = ["data=imdb", "data.synthetic=true", "data.max_length=100"]


@pytest.fixture
def check(command, tmp_path, monkeypatch):
    """All lines of `trainer check` of the network above, in one; and whether a run would be refused."""
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.setenv("COLUMNS", "250")

    def checked(*words):
        outcome = command("check", *OWN, *words)
        assert "Traceback" not in outcome.err
        return " ".join(outcome.out.split()), bool(outcome.code)

    return checked


@pytest.mark.parametrize(
    ("words", "told"),
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
def test_outputs_of_a_wrong_shape_are_refused(words, told, check):
    said, refused = check(*words)
    assert refused
    assert "model.net" in said
    assert told in said


def test_a_run_is_refused_in_one_line_and_makes_no_step(command, tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    refused = command(*OWN, "data=digits", "+model.net.outputs=7")
    assert refused.code == 1
    assert [line for line in refused.err.splitlines() if line] == [
        "error: model.net: outputs of shape (2, 7); data 'digits' expects (2, 10): examples, a logit for each class"
        "  (command line: +model.net.outputs=7)"
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["data=digits", "+model.net.last=softmax"], "is a softmax, but the loss takes logits and applies a softmax"),
        (["data=digits", "+model.net.last='softmax by hand'"], "is a softmax, but the loss takes logits"),
        (["data=digits", "+model.net.last=log_softmax"], "is a log-softmax, but the loss takes logits"),
        (["data=digits", "+model.net.last=sigmoid"], "is a sigmoid, but the loss takes logits and applies a softmax"),
        (["data=xor", "+model.net.last=sigmoid"], "is a sigmoid, but the loss takes logits and applies a sigmoid"),
        (["data=xor", "+model.net.last=relu"], "is a ReLU, but the loss takes logits"),
        ([*TABLE, "+model.net.last=relu"], "is a ReLU, but standardized targets have any sign and size"),
    ],
)
def test_a_last_operation_that_limits_the_outputs_is_warned_of(words, told, check):
    said, refused = check(*words)
    assert not refused
    assert f"warning: its last operation {told}" in said


@pytest.mark.parametrize(
    "words",
    [
        ["data=digits"],
        ["data=xor", "objective.loss=hinge", "+model.net.last=tanh"],  # a margin of 1 is within reach
        [*TABLE, "data.standardize_target=false", "+model.net.last=relu"],
        ["data=line", "+model.net.last=sigmoid"],
        TEXTS,
    ],
)
def test_nothing_is_said_of_outputs_that_suit_the_loss(words, check):
    said, refused = check(*words)
    assert not refused
    assert "warning" not in said


def test_the_warning_stands_at_the_start_of_a_run(command, tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    outcome = command(*OWN, "data=digits", "+model.net.last=softmax", "trainer.max_epochs=1")
    lines = outcome.out.splitlines()
    [place] = [at for at, line in enumerate(lines) if "warning: model.net: its last operation is a softmax" in line]
    assert place < next(at for at, line in enumerate(lines) if line.startswith("epoch 1/1"))


@pytest.mark.parametrize("words", [["+model.net.places=99"], ["model.net._target_=nets.Fewer"]])
def test_the_longest_text_and_the_highest_token_are_tried(words, check):
    said, refused = check(*TEXTS, *words)
    assert refused
    assert "a step on data 'imdb' fails" in said


def test_a_batch_of_one_example_is_tried_with_batch_norm(command):
    words = ["data=digits", "model=mlp", "model.net.batch_norm=true", "data.batch_size=1"]
    refused = command("check", *words)
    assert refused.code == 1
    assert "Expected more than 1 value per channel" in " ".join(refused.out.split())


def test_a_last_batch_of_one_example_is_told_by_the_keys_that_avoid_it(command):
    words = ["data=line", "data.points=27", "data.batch_size=16", "model=mlp", "model.net.batch_norm=true"]  # 17 train
    outcome = command(*words)
    assert outcome.code == 1
    assert outcome.err.startswith("error: data.batch_size: batch norm needs two examples")
    assert "Traceback" not in outcome.err


def test_jobs_that_differ_in_any_argument_of_a_network_are_all_tried(command, tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    outcome = command("check", "--json", "-m", *OWN, "data=digits", "+model.net.outputs=10,7")
    assert outcome.code == 1
    assert '"jobs": [\n        1\n      ]' in outcome.out


def test_code_that_was_changed_meanwhile_is_tried_again(check, tmp_path):
    words = ["data=digits", "+model.net.last=softmax"]
    assert "warning" in check(*words)[0]
    (tmp_path / "nets.py").write_text(
        NETS.replace('("softmax", "log_softmax")', '("log_softmax",)').replace(
            "if self.last else outputs", 'if self.last and self.last != "softmax" else outputs'
        )
    )
    os.utime(tmp_path / "nets.py", ns=(1, 1))  # within the clock's tick
    import sys

    del sys.modules["nets"]
    assert "warning" not in check(*words)[0]
