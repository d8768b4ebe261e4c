"""Comparison of the losses of an XOR training with back-propagation in NumPy, step by step."""

import csv

import numpy as np
import pytest
import pytorch_lightning as pl

from trainer.data.xor import XOR
from trainer.model.mlp import MLP

INPUTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TARGETS = np.array([[0.0], [1.0], [1.0], [0.0]])
STEPS = 300


class SGD:
    """w <- w - lr * v, with v <- momentum * v + gradient."""

    def __init__(self, lr, momentum=0.0):
        self.lr, self.momentum, self.velocity = lr, momentum, None

    def step(self, weights, gradients):
        self.velocity = self.velocity or [np.zeros_like(w) for w in weights]
        for w, v, g in zip(weights, self.velocity, gradients, strict=True):
            v *= self.momentum
            v += g
            w -= self.lr * v


class Adam:
    """Kingma and Ba 2015, algorithm 1."""

    def __init__(self, lr, betas=(0.9, 0.999), epsilon=1e-8):
        self.lr, self.betas, self.epsilon, self.steps = lr, betas, epsilon, 0
        self.first, self.second = None, None

    def step(self, weights, gradients):
        self.steps += 1
        self.first = self.first or [np.zeros_like(w) for w in weights]
        self.second = self.second or [np.zeros_like(w) for w in weights]
        for w, m, v, g in zip(weights, self.first, self.second, gradients, strict=True):
            m[...] = self.betas[0] * m + (1 - self.betas[0]) * g
            v[...] = self.betas[1] * v + (1 - self.betas[1]) * g**2
            mean, square = m / (1 - self.betas[0] ** self.steps), v / (1 - self.betas[1] ** self.steps)
            w -= self.lr * mean / (np.sqrt(square) + self.epsilon)


def numpy_losses(weights, optimizer):
    """Binary cross-entropy before each step of a 2-4-1 net: ReLU, then a sigmoid."""
    w1, b1, w2, b2 = weights
    losses = []
    for _ in range(STEPS):
        sums = INPUTS @ w1.T + b1  # (4 points, 4 units)
        hidden = np.maximum(sums, 0)
        probability = 1 / (1 + np.exp(-(hidden @ w2.T + b2)))  # (4 points, 1)
        losses.append(-np.mean(TARGETS * np.log(probability) + (1 - TARGETS) * np.log(1 - probability)))
        error = (probability - TARGETS) / len(INPUTS)  # derivative with respect to the logit
        hidden_error = (error @ w2) * (sums > 0)
        optimizer.step(weights, [hidden_error.T @ INPUTS, hidden_error.sum(0), error.T @ hidden, error.sum(0)])
    return losses


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "optimizer"),
    [
        pytest.param(["optimizer=sgd", "optimizer.lr=0.1"], SGD(0.1), marks=pytest.mark.slow),
        (["optimizer=sgd", "optimizer.lr=0.1", "optimizer.momentum=0.9"], SGD(0.1, momentum=0.9)),
        (["optimizer=adam", "optimizer.lr=0.01"], Adam(0.01)),
    ],
    ids=["sgd", "momentum", "adam"],
)
def test_training_equals_back_propagation_in_numpy(overrides, optimizer, command):
    pl.seed_everything(1, verbose=False)  # as a run does before it builds its network
    start = MLP(XOR(batch_size=4).spec, hidden=[4])
    weights = [parameter.detach().double().numpy().copy() for parameter in start.parameters()]

    length = [f"trainer.max_epochs={STEPS}", f"trainer.check_val_every_n_epoch={STEPS}", "trainer.log_every_n_steps=1"]
    outcome = command(
        "data=xor",
        "data.repeats=1",
        "model.net.hidden=[4]",
        *overrides,
        *length,
        "callbacks=none",
        "logger=csv",
        "test=false",
    )
    assert outcome.code == 0, outcome.err
    [run] = outcome.runs
    rows = csv.DictReader((run / "metrics.csv").read_text().splitlines())
    losses = [float(row["train/loss"]) for row in rows if row["train/loss"]]

    expected = numpy_losses(weights, optimizer)
    assert len(losses) == STEPS
    assert expected[-1] < 0.95 * expected[0]  # it learns
    np.testing.assert_allclose(losses, expected, atol=1e-6, rtol=0)
