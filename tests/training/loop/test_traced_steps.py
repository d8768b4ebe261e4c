"""Recorded steps are those of autograd and the optimizer, bit for bit, wherever a run has them."""

import json
import sys

import pytest
import torch

from trainer.training.loop import verified_trace
from trainer.training.loop.traced_steps import laid_out
from trainer.training.loop.verified_trace import Routine

RUN = ["trainer.max_epochs=5", "trainer.accelerator=cpu", "trainer.log_every_n_steps=4"]
RUN += ["logger=csv"]
DIGITS = [*RUN, "data=digits", "model=mlp", "model.net.hidden=[4]", "model.net.dropout=0"]
OWN = ["~model.net.hidden", "~model.net.activation", "~model.net.batch_norm"]
OWN += ["~model.net.dropout", "~model.net.residual", "~model.net.initialisation"]

USERS = """
from copy import deepcopy

import torch
from pytorch_lightning import Callback

from trainer.callbacks.gradient_clipping import GradientClipping


class Own(torch.nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.layer, self.calls = torch.nn.Linear(64, 10), 0

    def forward(self, inputs):
        self.calls += 1
        return self.layer(inputs.flatten(1)) * (1 if self.calls < 60 else -1)


class Composed(torch.nn.Sequential):
    def __init__(self, spec):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(64, 10))


def cycling(optimizer, total_steps, warmup_share=0, start_factor=0, final_factor=0):
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=total_steps)
    return {"scheduler": schedule, "interval": "step"}


class Changing(Callback):
    '''Changes something when an epoch is over: `what`.'''

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
            next(one for one in trainer.callbacks if isinstance(one, GradientClipping)).limit = 0.01
        elif self.what == "a limit of the trainer":
            trainer.gradient_clip_val = 0.01
        elif self.what == "smoothing":
            task.objective.label_smoothing = 0.3
        elif self.what == "a hook":
            first.register_forward_hook(lambda module, given, output: output * self.later())
        elif self.what == "a hook on a weight":
            first.weight.register_hook(lambda gradient: gradient * self.later())
        elif self.what == "an activation":
            place = next(at for at, part in enumerate(task.net.layers) if isinstance(part, torch.nn.ReLU))
            task.net.layers[place] = torch.nn.Tanh()
        elif self.what == "states":
            trainer.optimizers[0].load_state_dict(deepcopy(trainer.optimizers[0].state_dict()))
        elif self.what == "betas":
            trainer.optimizers[0].param_groups[0]["betas"] = (0.5, 0.9)
        elif self.what == "a hook on the optimizer":
            trainer.optimizers[0].register_step_pre_hook(self.halve)
        elif self.what == "the place of a weight":
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
    "the place of a weight",
    "a hook on the optimizer",
    "a limit",
    "a limit of the trainer",
]

SERIES = [*RUN, "data=stock", "model=lstm", "model.net.dropout=0.2", "data.synthetic=true", "trainer.max_epochs=8"]
CLIPPED = "callbacks=[default,gradient_clipping]"
WAYS = {
    "adam": [],
    "adamw": ["optimizer=adamw"],
    "sgd": ["optimizer=sgd", "optimizer.momentum=0"],
    "sgd with all": [
        "optimizer=sgd",
        "optimizer.momentum=0.9",
        "optimizer.weight_decay=0.01",
        "optimizer.nesterov=true",
    ],
    "a rate for each step": ["scheduler=onecycle"],
    "momentum for each step": ["scheduler=onecycle", "scheduler._target_=users.cycling"],
    "a rate for each epoch": ["scheduler=cosine"],
    "smoothing and a penalty": ["objective.label_smoothing=0.1", "objective.penalty.l1=0.001"],
    "every step logged": ["trainer.log_every_n_steps=1"],
    "clipped by a callback": [CLIPPED, "callbacks.gradient_clipping.limit=0.1"],
    "values clipped by a callback": [
        CLIPPED,
        "callbacks.gradient_clipping.limit=0.01",
        "callbacks.gradient_clipping.by=value",
    ],
    "clipped by the trainer": ["+trainer.gradient_clip_val=0.1"],
    "augmented": ["data.shift_pixels=1"],
    "dropout": ["model.net.dropout=0.5"],
    "batch norm": ["model.net.batch_norm=true"],
    "validation within the epoch": ["+trainer.val_check_interval=7"],
}
OTHERS = {
    "values": [*RUN, "data=line", "model=linear", "trainer.max_epochs=200"],
    "standardized values": [*RUN, "data=line", "data.standardize_target=true", "model=mlp", "trainer.max_epochs=200"],
    "two classes": [*RUN, "data=xor", "model=mlp", "model.net.dropout=0"],
    "convolutions": [*RUN, "data=digits", "model=cnn", "model.net.dropout=0"],
    "lstm": SERIES,
    "layers of lstm, in both directions": [*SERIES, "model.net.layers=2", "model.net.bidirectional=true"],
    "gru": [*SERIES, "model.net.cell=gru"],
}
SLOW = {"adamw", "sgd", "a rate for each epoch", "every step logged", "augmented", "two classes"}


@pytest.fixture
def made(monkeypatch):
    """How often each routine was made by its operations, by name."""
    counts, call = {}, Routine.__call__

    def counted(self, *given, **more):
        counts[self.name] = counts.get(self.name, 0) + self.is_proven
        return call(self, *given, **more)

    monkeypatch.setattr(Routine, "__call__", counted)
    return counts


def both(command, directory, monkeypatch, *words):
    """Run with recorded steps and without; returns what each left behind."""
    (directory / "users.py").write_text(USERS)
    left = []
    for name, longest in (("recorded", 1.0), ("usual", -1.0)):
        monkeypatch.setattr(verified_trace, "LONGEST", longest)
        sys.modules.pop("users", None)
        outcome = command(*words, f"hydra.run.dir={name}")
        assert outcome.code == 0, outcome.err
        checkpoint = torch.load(directory / name / "checkpoints/last.ckpt", weights_only=True)
        left.append(
            {
                "weights": {name: value.tolist() for name, value in checkpoint["state_dict"].items()},
                "optimizers": str(checkpoint["optimizer_states"]),
                "loops": checkpoint["loops"],
                "metrics": (directory / name / "metrics.csv").read_text(),
                "result": json.loads((directory / name / "result.json").read_text())["metrics"],
            }
        )
    return left


@pytest.mark.parametrize("way", [pytest.param(way, marks=[pytest.mark.slow] * (way in SLOW)) for way in WAYS | OTHERS])
def test_a_run_is_the_same_with_recorded_steps_and_without(way, command, tmp_path, monkeypatch, made):
    ours, usual = both(command, tmp_path, monkeypatch, *OTHERS.get(way, DIGITS), *WAYS.get(way, []))
    assert ours == usual
    assert sum(count for name, count in made.items() if name.startswith("pass")) > 20
    assert (made.get("bounds", 0) > 50) == ("clipped" in way)
    assert (made["update"] > 50) == (way != "momentum for each step")


@pytest.mark.parametrize("what", CHANGES)
def test_what_callbacks_change_is_seen(what, command, tmp_path, monkeypatch, made):
    words = ["+callbacks.changing._target_=users.Changing", f"+callbacks.changing.what={what}"]
    ours, usual = both(command, tmp_path, monkeypatch, *DIGITS, *words, *([CLIPPED] if what == "a limit" else []))
    assert ours == usual
    assert sum(made.values()) > 20


@pytest.mark.parametrize("name", ["Own", "Composed"])
def test_a_network_with_code_of_ones_own_is_left_to_autograd(name, command, tmp_path, monkeypatch, made):
    words = ["data=digits", "model=mlp", *OWN, f"model.net._target_=users.{name}"]
    ours, usual = both(command, tmp_path, monkeypatch, *RUN, *words)
    assert ours == usual
    assert bool(sum(made.values())) == (name == "Composed")


def spoiled(again):
    """Operations whose last result is the least bit off."""
    return lambda *given: [*(results := again(*given))[:-1], torch.nextafter(results[-1], results[-1] + 1)]


def test_operations_that_do_not_do_the_same_are_not_taken(command, tmp_path, monkeypatch, made):
    plain = verified_trace.Tape.again

    def again(tape, given, wanted, **more):
        return spoiled(plain(tape, given, wanted, **more)) if wanted else plain(tape, given, wanted, **more)

    monkeypatch.setattr(verified_trace.Tape, "again", again)
    ours, usual = both(command, tmp_path, monkeypatch, *DIGITS)
    assert ours == usual
    assert made.pop("update") > 50
    assert not sum(made.values())


@pytest.mark.parametrize("words", [["trainer.precision=64-true"], ["trainer.precision=bf16-mixed"], ["compile=true"]])
def test_where_a_run_is_of_another_kind_autograd_makes_its_steps(words, command, tmp_path, monkeypatch, made):
    if words == ["compile=true"]:
        monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    assert command(*DIGITS, *words, "trainer.max_epochs=2").code == 0
    assert not sum(made.values())


def test_a_gradient_has_the_strides_of_its_weight_and_a_place_of_its_own():
    weight, gradient = torch.zeros(2, 3), torch.arange(6.0).reshape(3, 2).T
    taken = {weight.data_ptr()}
    first = laid_out(gradient, weight, taken)
    assert first.stride() == weight.stride()
    again = laid_out(first, weight, taken)  # as two biases that are added to the same have it
    assert torch.equal(first, gradient)
    assert torch.equal(again, gradient)
    assert len({first.data_ptr(), again.data_ptr(), gradient.data_ptr()}) == 3
    assert laid_out(again, weight, set()) is again
    assert laid_out(None, weight, taken) is None
