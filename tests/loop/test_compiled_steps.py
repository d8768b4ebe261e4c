"""Compiled steps: the same training in fewer calls, where a run allows it and is long enough."""

import csv
import os
import subprocess
import sys

import pytest
import torch

from trainer.data.order import BYTES_AT_ONCE
from trainer.loop.functional import coefficients
from trainer.loop.qualify import pays

TINY = ["data=digits", "model=mlp", "model.net.hidden=[4]", "trainer.log_every_n_steps=4", "trainer.max_epochs=2"]
SHORT = ["trainer.max_epochs=1", "+trainer.limit_train_batches=3", "test=false"]
FREE = "trainer.deterministic=false"  # auto does nothing otherwise
COMPILED = ["callbacks.lean_steps.compile=true", "logger=csv", "trainer.accelerator=cpu"]

USERS = """
from pytorch_lightning import Callback
from torch.nn.functional import dropout

from trainer.model.mlp import MLP
from trainer.task.supervised import Supervised


class Watcher(Callback):
    def on_before_zero_grad(self, trainer, task, optimizer):
        pass


class Dropping(MLP):
    def forward(self, inputs):
        return dropout(super().forward(inputs), 0.1, self.training)


class Own(Supervised):
    def training_step(self, batch, batch_idx):
        return super().training_step(batch, batch_idx)
"""

UNFIT = {
    "a callback that looks on": (["+callbacks.watcher._target_=users.Watcher"], "Watcher is called at every step"),
    "clipping": (["callbacks=[default,gradient_clipping]"], "GradientClipping clips gradients"),
    "clipping by the trainer": (["+trainer.gradient_clip_val=1.0"], "trainer.gradient_clip_val clips gradients"),
    "accumulation": (["trainer.accumulate_grad_batches=2"], "trainer.accumulate_grad_batches is not 1"),
    "precision": (["trainer.precision=64-true"], "with this precision Lightning's own loop makes them"),
    "autocast": (["trainer.precision=bf16-mixed"], "trainer.precision is not 32-true"),
    "dropout": (["model.net.dropout=0.5"], "a step draws random numbers"),
    "batch norm": (["model.net.batch_norm=true"], "a step changes buffers of the network"),
    "a task of one's own": (["model.task._target_=users.Own"], "the task has a training step of its own"),
    "amsgrad": (["+optimizer.amsgrad=true"], "optimizer.amsgrad is set"),
    "another optimizer": (["optimizer._target_=torch.optim.NAdam", "~optimizer.fused"], "the optimizer is not SGD"),
}


@pytest.mark.parametrize("way", UNFIT)
def test_where_steps_cannot_be_compiled_it_says_why(way, command, tmp_path):
    (tmp_path / "users.py").write_text(USERS)
    sys.modules.pop("users", None)
    words, reason = UNFIT[way]
    outcome = command(*TINY, *SHORT, *COMPILED, *words)
    assert outcome.code == 1
    assert f"error: callbacks.lean_steps.compile: steps cannot be compiled: {reason}" in outcome.err
    assert "set it to auto or false" in outcome.err


def test_steps_with_batches_that_come_one_at_a_time_cannot_be_compiled(command, monkeypatch):
    monkeypatch.setitem(BYTES_AT_ONCE, "cpu", 1)
    outcome = command(*TINY, *SHORT, *COMPILED)
    assert outcome.code == 1
    assert "steps cannot be compiled: batches come one at a time; set it to auto or false" in outcome.err


def test_auto_takes_a_run_that_cannot_be_compiled_as_it_is(command, monkeypatch):
    monkeypatch.setattr("trainer.loop.compiled.pays", lambda *_: True)
    monkeypatch.setattr("trainer.loop.compiled.WATCHED", 2)
    outcome = command(*TINY, *SHORT, FREE, "model.net.dropout=0.5")
    assert outcome.code == 0
    assert "compiled" not in outcome.out


def _no_compiler(*_):
    raise RuntimeError("no C++ compiler\nwith a long story")


def test_without_a_compiler_auto_goes_on_and_says_so_once(command, monkeypatch):
    monkeypatch.setattr("trainer.loop.compiled.pays", lambda *_: True)
    monkeypatch.setattr("trainer.loop.compiled.WATCHED", 2)
    monkeypatch.setattr("trainer.loop.compiled.compiled_steps", _no_compiler)
    outcome = command(*TINY, FREE, "test=false")
    assert outcome.code == 0
    assert outcome.out.count("steps are not compiled: RuntimeError: no C++ compiler\n") == 1


def test_without_a_compiler_true_is_an_error(command, monkeypatch):
    monkeypatch.setattr("trainer.loop.compiled.compiled_steps", _no_compiler)
    outcome = command(*TINY, *SHORT, *COMPILED)
    assert outcome.code == 1
    assert "steps cannot be compiled: RuntimeError: no C++ compiler; set it to auto or false" in outcome.err


def test_a_short_run_is_not_compiled(command, monkeypatch):
    monkeypatch.setattr("trainer.loop.compiled.compiled_steps", lambda *_: pytest.fail("compiled"))
    assert command(*TINY, FREE, "trainer.max_epochs=4", "test=false").code == 0


def test_a_run_that_is_to_be_deterministic_is_not_compiled_by_itself(command, monkeypatch):
    monkeypatch.setattr("trainer.loop.compiled.pays", lambda *_: pytest.fail("asked"))
    monkeypatch.setattr("trainer.loop.compiled.WATCHED", 2)
    assert command(*TINY, "test=false").code == 0


def test_compiling_pays_where_the_steps_left_save_more_than_it_takes():
    assert not pays(200e-6, 166_666)  # 0.6 x 200 us x 166,667 = 20 s
    assert pays(200e-6, 166_667)
    assert pays(200e-6, float("inf"))
    assert not pays(2e-3, 1e9)  # such a step is not short


def test_corrections_of_adam_are_worked_out_in_double_precision():
    group = {"betas": (0.9, 0.999), "weight_decay": 0.1}
    assert coefficients(group, 0.01, 1) == pytest.approx([0.1, 0.001**0.5, 0.999], rel=1e-12)
    assert coefficients({"momentum": 0.9}, 0.01, 7) == [0.01, 1.0, 1.0]


RUNS = {
    "sgd": [
        *["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.nesterov=true", "optimizer.weight_decay=0.001"],
        *["optimizer.lr=0.05", "scheduler=cosine", "+trainer.val_check_interval=9", "objective.penalty.l2=0.001"],
    ],
    "adam": ["optimizer=adam", "optimizer.weight_decay=0.01", "scheduler=step", "scheduler.every_epochs=2"],
    "adamw": ["optimizer=adamw", "optimizer.lr=0.01", "scheduler=warmup", "scheduler.warmup_steps=30"],
}


def checkpoint_of(run):
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)


def rows_of(run):
    """What was logged, but for the norm of gradients, which compiled steps do not keep."""
    with open(run / "metrics.csv") as file:
        rows = [*csv.DictReader(file)]
    return [{name: float(text) for name, text in row.items() if text and name != "grad_norm"} for row in rows]


def assert_same(one, other):
    """Two runs ended alike and logged alike: the same rows, and numbers but for rounding."""
    made, meant = checkpoint_of(one), checkpoint_of(other)
    for name, weights in meant["state_dict"].items():
        torch.testing.assert_close(made["state_dict"][name], weights, rtol=1e-5, atol=1e-6)
    assert made["global_step"] == meant["global_step"]
    assert made["loops"] == meant["loops"]
    assert made["lr_schedulers"] == meant["lr_schedulers"]
    [states], [meant_states] = made["optimizer_states"], meant["optimizer_states"]
    assert states["param_groups"] == meant_states["param_groups"]
    for key, state in meant_states["state"].items():
        for name, value in state.items():
            torch.testing.assert_close(states["state"][key][name], value, rtol=1e-4, atol=1e-6)
    rows, meant_rows = rows_of(one), rows_of(other)
    assert [row.keys() for row in rows] == [row.keys() for row in meant_rows]
    for row, meant_row in zip(rows, meant_rows, strict=True):
        assert row == pytest.approx(meant_row, rel=1e-5, abs=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("way", RUNS)
def test_a_run_is_the_same_with_compiled_steps_and_it_can_be_gone_on_with(way, command, tmp_path):
    """Some hundred steps; batches of 64, of which the last of an epoch is smaller."""
    cache = {"TORCHINDUCTOR_CACHE_DIR": os.environ.get("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "kernels"))}
    os.environ.update(cache)
    words = [*TINY, *RUNS[way], "logger=csv", "trainer.accelerator=cpu", "test=false"]
    for name, compiled in {"plain": "false", "compiled": "true"}.items():
        outcome = command(
            *words, "trainer.max_epochs=12", f"callbacks.lean_steps.compile={compiled}", f"hydra.run.dir={name}"
        )
        assert outcome.code == 0, outcome.err
        assert ("steps are compiled, up to 100 in a call" in outcome.out) == (name == "compiled")
    assert_same(tmp_path / "compiled", tmp_path / "plain")
    for name, compiled in {"plain on": "false", "compiled on": "true"}.items():
        begun = tmp_path / "compiled/checkpoints/last.ckpt"
        more = ["trainer.max_epochs=16", f"ckpt_path={begun}", f"callbacks.lean_steps.compile={compiled}"]
        outcome = command(*words, *more, f"hydra.run.dir='{name}'")
        assert outcome.code == 0, outcome.err
    assert_same(tmp_path / "compiled on", tmp_path / "plain on")


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A checkpoint of a run whose steps were compiled."""
    folder = tmp_path_factory.mktemp("begun")
    words = [*TINY, *COMPILED, FREE, "test=false", f"hydra.run.dir='{folder}'"]
    subprocess.run([sys.executable, "-m", "trainer", *words], check=True, cwd=folder)
    return folder / "checkpoints/last.ckpt"


LATER = {way: UNFIT[way] for way in UNFIT if way.startswith(("a ", "clipping", "accumulation"))}
LATER["dropout"] = (["model.net._target_=users.Dropping"], "a step draws random numbers")


@pytest.mark.slow
@pytest.mark.parametrize("way", LATER)
def test_where_steps_cannot_be_compiled_they_are_not_behind_a_checkpoint_either(way, begun, command, tmp_path):
    (tmp_path / "users.py").write_text(USERS)
    sys.modules.pop("users", None)
    words, reason = LATER[way]
    on = [*TINY, FREE, "logger=csv", "trainer.max_epochs=4", f"ckpt_path='{begun}'", "test=false", *words]
    outcome = command(*on, "callbacks.lean_steps.compile=true")
    assert outcome.code == 1
    assert f"error: callbacks.lean_steps.compile: steps cannot be compiled: {reason}" in outcome.err
    for name, compiled in {"plain": "false", "asked": "auto"}.items():
        assert command(*on, f"callbacks.lean_steps.compile={compiled}", f"hydra.run.dir={name}").code == 0
    made, meant = checkpoint_of(tmp_path / "asked"), checkpoint_of(tmp_path / "plain")
    assert made["state_dict"].keys() == meant["state_dict"].keys()
    assert all(torch.equal(made["state_dict"][name], weights) for name, weights in meant["state_dict"].items())


@pytest.mark.slow
def test_batches_that_come_one_at_a_time_behind_a_checkpoint_are_not_compiled(begun, command, monkeypatch):
    monkeypatch.setitem(BYTES_AT_ONCE, "cpu", 1)
    on = [*TINY, FREE, *COMPILED, "trainer.max_epochs=4", f"ckpt_path='{begun}'", "test=false"]
    outcome = command(*on)
    assert outcome.code == 1
    assert "steps cannot be compiled: batches come one at a time; set it to auto or false" in outcome.err
    assert command(*on, "callbacks.lean_steps.compile=auto").code == 0


@pytest.mark.slow
def test_auto_begins_within_a_run_and_ends_at_the_given_step(command, tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.loop.compiled.pays", lambda *_: True)
    words = [
        "experiment=xor_tutorial",
        "+trainer.max_steps=250",
        *["trainer.log_every_n_steps=7", "logger=csv", FREE],
        "test=false",
    ]
    for name, compiled in {"plain": "false", "compiled": "auto"}.items():
        outcome = command(*words, f"callbacks.lean_steps.compile={compiled}", f"hydra.run.dir={name}")
        assert outcome.code == 0, outcome.err
        assert ("steps are compiled, up to 100 in a call" in outcome.out) == (name == "compiled")
    assert_same(tmp_path / "compiled", tmp_path / "plain")
    assert checkpoint_of(tmp_path / "compiled")["global_step"] == 250
