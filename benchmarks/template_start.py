"""Startup of the template with the imports of its train.py and one step on synthetic digits."""

import tempfile
from pathlib import Path

import hydra  # noqa: F401
import rich  # noqa: F401
import torch
import torchvision  # noqa: F401  imported by its datamodule
from jobs import Job
from template import train
from torch import nn

examples = (torch.randn(64, 1, 8, 8), torch.randint(10, (64,)))
net = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 10))
job = Job(
    data="digits",
    net=net,
    train=examples,
    val=examples,
    test=examples,
    pixels=None,
    loss="cross_entropy",
    adversarial=False,
    metrics=("accuracy",),
    optimizer=("Adam", {"lr": 0.001}),
    batch=64,
    eval_batch=64,
    epochs=1,
    steps=1,
    log_every=10,
    check_every=1,
)
with tempfile.TemporaryDirectory() as directory:
    train(job, Path(directory), steps=1)
