"""Lean steps do what Lightning's do: the same weights, logged numbers, counters and calls of hooks."""

import csv
import json
import sys
from pathlib import Path

import pytest
import torch
from torch.utils import deterministic

from trainer.task.supervised import Supervised
from trainer.training.loop.evaluation_loop import LeanEvaluation
from trainer.training.loop.training_loop import LeanStep

TINY = ["data=digits", "model=mlp", "model.net.hidden=[4]", "trainer.log_every_n_steps=4", "trainer.max_epochs=2"]
GAN = [*TINY[:1], "model=gan", "model.net.generator=[8]", "model.net.discriminator=[8]", *TINY[3:]]

USERS = Path(__file__).with_name("recording_callbacks.py").read_text()
CLIPPED = ["callbacks=[default,gradient_clipping]", "callbacks.gradient_clipping.limit=0.1"]
WAYS = {
    "plain": [],
    "schedule": ["scheduler=cosine", "optimizer=sgd", *CLIPPED],
    "plateau": ["scheduler=plateau", "+trainer.val_check_interval=5"],
    "accumulation": ["trainer.accumulate_grad_batches=3", "scheduler=onecycle", "+trainer.gradient_clip_val=0.1"],
    "clip by value": ["+trainer.gradient_clip_val=0.01", "+trainer.gradient_clip_algorithm=value"],
    "validation within the epoch": ["+trainer.val_check_interval=0.3", "data.eval_batch_size=50"],
    "validation by steps": ["+trainer.val_check_interval=7", "trainer.check_val_every_n_epoch=null"],
    "rare validation": ["trainer.check_val_every_n_epoch=2"],
    "fewer batches": ["+trainer.limit_train_batches=7", "+trainer.limit_val_batches=2", "data.eval_batch_size=50"],
    "a given number of steps": ["+trainer.max_steps=27", "trainer.max_epochs=-1"],
    "early stopping": [
        *["callbacks=[default,early_stopping]", "callbacks.early_stopping.patience=1"],
        *["callbacks.early_stopping.min_delta=9", "trainer.max_epochs=9"],
    ],
    "autocast": ["trainer.precision=bf16-mixed"],
    "clipping in autocast": ["trainer.precision=bf16-mixed", *CLIPPED],
    "clipping of one's own": ["+callbacks.halving._target_=users.Halving"],
    "double": ["trainer.precision=64-true"],
    "checkpoints by steps": ["+callbacks.checkpoint.every_n_train_steps=6", "callbacks.checkpoint.monitor=null"],
    "an optimizer with a closure": [
        *["optimizer._target_=torch.optim.LBFGS", "~optimizer.betas", "~optimizer.weight_decay", "~optimizer.fused"],
    ],
    "images that are augmented": ["data.shift_pixels=1", "model.net.dropout=0.5"],
    "a task that logs otherwise": ["model.task._target_=users.Talkative", "data.eval_batch_size=50"],
    "a task that skips": ["model.task._target_=users.Skipping", "data.batch_size=63"],
}


QUICK = {"plain", "schedule", "accumulation", "validation within the epoch", "fewer batches", "early stopping"}
QUICK |= {"images that are augmented", "a task that logs otherwise"}
UNWATCHED = ["plain", "fewer batches", "a given number of steps", "autocast", "images that are augmented"]
UNWATCHED += ["early stopping", "validation within the epoch", "a task that logs otherwise", "accumulation"]
UNWATCHED += ["schedule", "clip by value", "clipping in autocast", "clipping of one's own"]
UNWATCHED_QUICK = {"plain", "accumulation", "onecycle", "schedule", "clipping in autocast", "clipping of one's own"}


def marked(ways, quick):
    return [pytest.param(way, marks=[pytest.mark.slow] * (way not in quick)) for way in ways]


def compared(command, directory, *arguments, recorder="Recorder"):
    """Run with lean steps and without; returns what each left behind."""
    (directory / "users.py").write_text(USERS)
    left = []
    for name, more in {"lean": [], "lightning": ["~callbacks.lean_steps"]}.items():
        sys.modules.pop("users", None)
        watch = [f"+callbacks.recorder._target_=users.{recorder}", f"+callbacks.recorder.path={name}.txt"]
        outcome = command(*arguments, *watch, f"hydra.run.dir={name}", "hydra.job.chdir=false", *more)
        assert outcome.code == 0, outcome.err
        run = directory / name
        checkpoint = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
        left.append(
            {
                "calls": (directory / f"{name}.txt").read_text().splitlines(),
                "weights": {name: value.tolist() for name, value in checkpoint["state_dict"].items()},
                "optimizers": str(checkpoint["optimizer_states"]),
                "loops": checkpoint["loops"],
                "metrics": (run / "metrics.csv").read_text(),
                "result": json.loads((run / "result.json").read_text())["metrics"],
            }
        )
    return left


@pytest.mark.filterwarnings("ignore:`training_step` returned `None`")
@pytest.mark.parametrize("way", marked(WAYS, QUICK))
def test_a_run_is_the_same_with_lean_steps_and_without(way, command, tmp_path):
    lean, lightning = compared(command, tmp_path, *TINY, *WAYS[way])
    assert lean["calls"] == lightning["calls"]
    assert lean == lightning


@pytest.mark.parametrize("recorder", ["LogsEverywhere", "LogsAtBoundaries"])
@pytest.mark.parametrize("way", marked(["validation within the epoch", "accumulation"], QUICK - {"accumulation"}))
def test_what_a_callback_logs_is_logged_with_lean_steps_as_without(way, recorder, command, tmp_path):
    small = ["data.eval_batch_size=50", "data.val_size=120", "data.test_size=120"]
    lean, lightning = compared(command, tmp_path, *TINY, *small, *WAYS[way], recorder=recorder)
    hooks = {name.split("/")[0] for name in lean["result"] if name.startswith("on_")}
    assert len(hooks) == (19 if recorder == "LogsEverywhere" else 4)
    assert lean["calls"] == lightning["calls"]
    assert lean == lightning


@pytest.fixture
def single_steps(monkeypatch):
    """The steps that are made one by one, by number."""
    made, step = [], LeanStep.step

    def counted(lean, *given, **more):
        made.append(lean.trainer.global_step)
        return step(lean, *given, **more)

    monkeypatch.setattr(LeanStep, "step", counted)
    return made


@pytest.mark.parametrize("way", marked([*UNWATCHED, "onecycle"], UNWATCHED_QUICK))
def test_a_run_whose_steps_nobody_watches_is_the_same(way, command, tmp_path, single_steps):
    words = WAYS.get(way, ["scheduler=onecycle"])
    lean, lightning = compared(command, tmp_path, *TINY, *words, recorder="Onlooker")
    assert lean["calls"] == lightning["calls"]
    assert lean == lightning
    steps = lean["result"] and json.loads((tmp_path / "lean/result.json").read_text())["steps"]
    watched = way in ("a task that logs otherwise", "accumulation")
    assert len(single_steps) >= steps if watched else len(single_steps) < steps / 2


def test_hooks_that_no_class_has_are_called(command, tmp_path):
    lean, lightning = compared(command, tmp_path, *TINY, recorder="noting")
    assert len(lean["calls"]) > 40
    assert lean == lightning


@pytest.mark.parametrize("more", [["callbacks=[default,gradient_clipping]"], ["~callbacks.lean_steps"]])
def test_a_stretch_of_steps_ends_where_the_run_is_to_stop(more, command, tmp_path, monkeypatch):
    made = []

    def stopping(self, batch, batch_idx, step=Supervised.training_step):
        if self._trainer:  # a rehearsal has none
            made.append(batch)
            self.trainer.should_stop = len(made) == 6
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Supervised, "training_step", stopping)
    assert command(*TINY, *more, "hydra.run.dir=run", "+trainer.min_epochs=0").code == 0
    assert json.loads((tmp_path / "run/result.json").read_text())["steps"] == 6
    rows = list(csv.DictReader((tmp_path / "run/metrics.csv").read_text().splitlines()))
    assert [row["step"] for row in rows if row["train/loss"]] == ["3", "5"]
    assert more[0].startswith("~") or len({row["train/grad_norm"] for row in rows if row["train/loss"]}) == 2


@pytest.mark.parametrize("more", [[], ["trainer.accumulate_grad_batches=3", "scheduler=cosine"]])
def test_a_gan_is_the_same_with_lean_steps_and_without(more, command, tmp_path):
    lean, lightning = compared(command, tmp_path, *GAN, *more)
    assert lean["calls"] == lightning["calls"]
    assert lean == lightning


@pytest.mark.parametrize("failing", [False, True])
def test_memory_is_not_filled_before_it_is_written_and_all_is_as_it_was_after_the_run(failing, command, monkeypatch):
    filled, evaluate = [], LeanEvaluation.run

    def watched(loop):
        filled.append(deterministic.fill_uninitialized_memory)
        if failing:
            raise ValueError("broken")
        return evaluate(loop)

    monkeypatch.setattr(LeanEvaluation, "run", watched)
    outcome = command("model=linear", "trainer.max_epochs=1", "callbacks=[lean_steps,progress]", "logger=none")
    assert (outcome.code != 0) == failing
    assert filled == ([False] if failing else [False, False])  # a validation and a test
    assert deterministic.fill_uninitialized_memory
