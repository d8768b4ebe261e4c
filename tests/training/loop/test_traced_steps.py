"""Equality of traced steps with autograd and the optimizer, bit for bit."""

import json
import sys

import pytest
import torch

from trainer.training.loop import verified_trace
from trainer.training.loop.traced_steps import match_layout
from trainer.training.loop.verified_trace import VerifiedTrace

RUN = ["trainer.max_epochs=5", "trainer.accelerator=cpu", "trainer.log_every_n_steps=4", "logger=csv"]
DIGITS = [*RUN, "data=digits", "model=mlp", "model.net.hidden=[4]", "model.net.dropout=0"]
USER_NET = ["~model.net.hidden", "~model.net.activation", "~model.net.batch_norm"]
USER_NET += ["~model.net.dropout", "~model.net.residual", "~model.net.init"]

USERS = """
from copy import deepcopy

import torch
from pytorch_lightning import Callback

from trainer.callbacks.gradient_clipping import GradientClipping


class CountsCalls(torch.nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.layer, self.calls = torch.nn.Linear(64, 10), 0

    def forward(self, inputs):
        self.calls += 1
        return self.layer(inputs.flatten(1)) * (1 if self.calls < 60 else -1)


class OnlyLayers(torch.nn.Sequential):
    def __init__(self, spec):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(64, 10))


def cycling(optimizer, total_steps, warmup_fraction=0, start_factor=0, final_factor=0):
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=total_steps)
    return {"scheduler": schedule, "interval": "step"}


class Changing(Callback):
    '''Changes a part of the training, `what`, at the end of an epoch.'''

    def __init__(self, what):
        self.what, self.calls = what, 0

    def later(self):
        self.calls += 1
        return 0.5 if self.calls > 40 else 1.0

    def halve(self, optimizer, *_):
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = weight.grad * 0.5

    def on_train_epoch_end(self, trainer, task):
        if trainer.current_epoch != 1:
            return
        first = next(module for module in task.net.modules() if isinstance(module, torch.nn.Linear))
        if self.what == "frozen":
            first.requires_grad_(False)
        elif self.what == "a limit":
            next(callback for callback in trainer.callbacks if isinstance(callback, GradientClipping)).value = 0.01
        elif self.what == "a limit of the trainer":
            trainer.gradient_clip_val = 0.01
        elif self.what == "smoothing":
            task.objective.label_smoothing = 0.3
        elif self.what == "a hook":
            first.register_forward_hook(lambda module, inputs, output: output * self.later())
        elif self.what == "a hook on a weight":
            first.weight.register_hook(lambda gradient: gradient * self.later())
        elif self.what == "an activation":
            index = next(i for i, layer in enumerate(task.net.layers) if isinstance(layer, torch.nn.ReLU))
            task.net.layers[index] = torch.nn.Tanh()
        elif self.what == "states":
            trainer.optimizers[0].load_state_dict(deepcopy(trainer.optimizers[0].state_dict()))
        elif self.what == "betas":
            trainer.optimizers[0].param_groups[0]["betas"] = (0.5, 0.9)
        elif self.what == "a hook on the optimizer":
            trainer.optimizers[0].register_step_pre_hook(self.halve)
        elif self.what == "the memory of a weight":
            first.weight.data = first.weight.data * 0.5
"""
CHANGES = [
    "frozen",
    "smoothing",
    "a hook",
    "a hook on a weight",
    "an activation",
    "states",
    "betas",
    "the memory of a weight",
    "a hook on the optimizer",
    "a limit",
    "a limit of the trainer",
]

SERIES = [*RUN, "data=stock", "model=lstm", "model.net.dropout=0.2", "data.synthetic=true", "trainer.max_epochs=8"]
CLIPPED = "callbacks=[default,gradient_clipping]"
SETTINGS = {
    "adam": [],
    "adamw": ["optimizer=adamw"],
    "sgd": ["optimizer=sgd", "optimizer.momentum=0"],
    "sgd with all": [
        *["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.weight_decay=0.01", "optimizer.nesterov=true"],
    ],
    "a rate for each step": ["scheduler=onecycle"],
    "momentum for each step": ["scheduler=onecycle", "scheduler._target_=users.cycling"],
    "a rate for each epoch": ["scheduler=cosine"],
    "class weights": ["objective.class_weights=balanced", "objective.label_smoothing=0.1", "objective.penalty.l1=0.1"],
    "every step of a focal loss logged": ["trainer.log_every_n_steps=1", "objective.loss=focal"],
    "clipped by a callback": [CLIPPED, "callbacks.gradient_clipping.value=0.1"],
    "values clipped by a callback": [
        *[CLIPPED, "callbacks.gradient_clipping.value=0.01", "callbacks.gradient_clipping.algorithm=value"],
    ],
    "clipped by the trainer": ["+trainer.gradient_clip_val=0.1"],
    "augmented": ["data.augmentation=[{affine:{shift_pixels:1}}]"],
    "dropout": ["model.net.dropout=0.5"],
    "batch norm": ["model.net.batch_norm=true"],
    "validation within the epoch": ["+trainer.val_check_interval=7"],
}
OTHER_RUNS = {
    "values": [*RUN, "data=line", "model=linear", "trainer.max_epochs=200"],
    "standardized values": [*RUN, "data=line", "data.standardize_target=true", "model=mlp", "trainer.max_epochs=200"],
    "two classes": [*RUN, "data=xor", "model=mlp", "model.net.dropout=0"],
    "convolutions": [*RUN, "data=digits", "model=cnn", "model.net.dropout=0"],
    "lstm": SERIES,
    "layers of lstm, in both directions": [*SERIES, "model.net.layers=2", "model.net.bidirectional=true"],
    "gru": [*SERIES, "model.net.cell=gru"],
}
QUICK = {"adam", "a rate for each step", "dropout", "frozen", "a hook", "betas", "a limit of the trainer"}


def marked(names):
    return [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in names]


@pytest.fixture
def replays(monkeypatch):
    """Return the number of replays of each trace, by name."""
    counts = {}
    call = VerifiedTrace.__call__

    def counted(self, *args, **kwargs):
        counts[self.name] = counts.get(self.name, 0) + self.is_verified
        return call(self, *args, **kwargs)

    monkeypatch.setattr(VerifiedTrace, "__call__", counted)
    return counts


def run_both(command, directory, monkeypatch, *overrides):
    """Run with traced steps and without; return the results of each."""
    (directory / "users.py").write_text(USERS)
    results = []
    for name, limit in (("traced", 1.0), ("autograd", -1.0)):
        monkeypatch.setattr(verified_trace, "MAX_TRACED_SECONDS", limit)
        sys.modules.pop("users", None)
        outcome = command(*overrides, f"hydra.run.dir={name}")
        assert outcome.code == 0, outcome.err
        checkpoint = torch.load(directory / name / "checkpoints/last.ckpt", weights_only=True)
        results.append(
            {
                "weights": {name: value.tolist() for name, value in checkpoint["state_dict"].items()},
                "optimizers": str(checkpoint["optimizer_states"]),
                "loops": checkpoint["loops"],
                "metrics": (directory / name / "metrics.csv").read_text(),
                "result": json.loads((directory / name / "result.json").read_text())["metrics"],
            }
        )
    return results


@pytest.mark.parametrize("setting", marked(SETTINGS | OTHER_RUNS))
def test_a_run_is_the_same_with_traced_steps_and_without(setting, command, tmp_path, monkeypatch, replays):
    traced, autograd = run_both(
        command, tmp_path, monkeypatch, *OTHER_RUNS.get(setting, DIGITS), *SETTINGS.get(setting, [])
    )
    assert traced == autograd
    assert sum(count for name, count in replays.items() if name.startswith("pass")) > 20
    assert (replays.get("clipping", 0) > 50) == ("clipped" in setting)
    assert (replays["update"] > 50) == (setting != "momentum for each step")


@pytest.mark.parametrize("what", marked(CHANGES))
def test_changes_by_callbacks_are_detected(what, command, tmp_path, monkeypatch, replays):
    overrides = ["+callbacks.changing._target_=users.Changing", f"+callbacks.changing.what={what}"]
    traced, autograd = run_both(
        command, tmp_path, monkeypatch, *DIGITS, *overrides, *([CLIPPED] if what == "a limit" else [])
    )
    assert traced == autograd
    assert sum(replays.values()) > 20


@pytest.mark.parametrize("name", ["CountsCalls", "OnlyLayers"])
def test_a_network_with_user_code_is_not_traced(name, command, tmp_path, monkeypatch, replays):
    overrides = ["data=digits", "model=mlp", *USER_NET, f"model.net._target_=users.{name}"]
    traced, autograd = run_both(command, tmp_path, monkeypatch, *RUN, *overrides)
    assert traced == autograd
    assert bool(sum(replays.values())) == (name == "OnlyLayers")


def spoiled(replay):
    """Return a replay whose last result differs by one bit."""
    return lambda *inputs: [*(results := replay(*inputs))[:-1], torch.nextafter(results[-1], results[-1] + 1)]


def test_a_replay_with_other_results_is_rejected(command, tmp_path, monkeypatch, replays):
    original = verified_trace.OpTrace.build_replay

    def build_replay(trace, inputs, outputs, **kwargs):
        replay = original(trace, inputs, outputs, **kwargs)
        return spoiled(replay) if outputs else replay

    monkeypatch.setattr(verified_trace.OpTrace, "build_replay", build_replay)
    traced, autograd = run_both(command, tmp_path, monkeypatch, *DIGITS)
    assert traced == autograd
    assert replays.pop("update") > 50
    assert not sum(replays.values())


@pytest.mark.parametrize(
    "overrides", [["trainer.precision=64-true"], ["trainer.precision=bf16-mixed"], ["compile=true"]]
)
def test_unsupported_runs_are_not_traced(overrides, command, tmp_path, monkeypatch, replays):
    if overrides == ["compile=true"]:
        monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    assert command(*DIGITS, *overrides, "trainer.max_epochs=2").code == 0
    assert not sum(replays.values())


def test_a_gradient_has_the_strides_of_its_weight_and_separate_memory():
    weight, gradient = torch.zeros(2, 3), torch.arange(6.0).reshape(3, 2).T
    pointers = {weight.data_ptr()}
    first = match_layout(gradient, weight, pointers)
    assert first.stride() == weight.stride()
    second = match_layout(first, weight, pointers)  # such as the gradients of two biases that are added
    assert torch.equal(first, gradient)
    assert torch.equal(second, gradient)
    assert len({first.data_ptr(), second.data_ptr(), gradient.data_ptr()}) == 3
    assert match_layout(second, weight, set()) is second
    assert match_layout(None, weight, pointers) is None
