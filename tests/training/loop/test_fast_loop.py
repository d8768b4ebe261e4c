"""Equality of the fast loop and Lightning's loop: weights, logged values, counters and calls of hooks."""

import csv
import json
import sys
from pathlib import Path

import pytest
import torch
from torch.utils import deterministic

from trainer.task.supervised import Supervised
from trainer.training.loop.evaluation_loop import FastEvaluationLoop
from trainer.training.loop.training_loop import FastStep

TINY = ["data=digits", "model=mlp", "model.net.hidden=[4]", "trainer.log_every_n_steps=4", "trainer.max_epochs=2"]
GAN = [*TINY[:1], "model=gan", "model.net.generator=[8]", "model.net.discriminator=[8]", *TINY[3:]]

USERS = Path(__file__).with_name("recording_callbacks.py").read_text()
CLIPPED = ["callbacks=[default,gradient_clipping]", "callbacks.gradient_clipping.value=0.1"]
SETTINGS = {
    "plain": [],
    "schedule": ["scheduler=cosine", "optimizer=sgd", *CLIPPED],
    "plateau": ["scheduler=plateau", "+trainer.val_check_interval=5"],
    "accumulation": ["trainer.accumulate_grad_batches=3", "scheduler=onecycle", "+trainer.gradient_clip_val=0.1"],
    "clip by value": ["+trainer.gradient_clip_val=0.01", "+trainer.gradient_clip_algorithm=value"],
    "validation within the epoch": ["+trainer.val_check_interval=0.3", "data.eval_batch_size=50"],
    "validation by steps": ["+trainer.val_check_interval=7", "trainer.check_val_every_n_epoch=null"],
    "rare validation": ["trainer.check_val_every_n_epoch=2"],
    "fewer batches": ["+trainer.limit_train_batches=7", "+trainer.limit_val_batches=2", "data.eval_batch_size=50"],
    "fixed number of steps": ["+trainer.max_steps=27", "trainer.max_epochs=-1"],
    "early stopping": [
        *["callbacks=[default,early_stopping]", "callbacks.early_stopping.patience=1"],
        *["callbacks.early_stopping.min_delta=9", "trainer.max_epochs=9"],
    ],
    "autocast": ["trainer.precision=bf16-mixed"],
    "clipping in autocast": ["trainer.precision=bf16-mixed", *CLIPPED],
    "user-defined clipping": ["+callbacks.halving._target_=users.HalvingClipper"],
    "double": ["trainer.precision=64-true"],
    "checkpoints by steps": ["+callbacks.checkpoint.every_n_train_steps=6", "callbacks.checkpoint.monitor=null"],
    "an optimizer with a closure": [
        *["optimizer._target_=torch.optim.LBFGS", "~optimizer.betas", "~optimizer.weight_decay", "~optimizer.fused"],
    ],
    "augmented images": [
        *["data.augmentation=[{affine:{shift_pixels:1}},mixup,cutmix]", "model.net.dropout=0.5"],
        "+model.test_time_augmentation=mirror_shift",
    ],
    "a task that logs with options": ["model._target_=users.LogsWithOptions", "data.eval_batch_size=50"],
    "a task that skips batches": ["model._target_=users.SkipsBatches", "data.batch_size=63"],
}


QUICK = {"plain", "validation within the epoch"}
WITHOUT_STEP_HOOKS = ["plain", "fewer batches", "fixed number of steps", "autocast", "augmented images"]
WITHOUT_STEP_HOOKS += ["early stopping", "validation within the epoch", "a task that logs with options", "accumulation"]
WITHOUT_STEP_HOOKS += ["schedule", "clip by value", "clipping in autocast", "user-defined clipping"]
WITHOUT_STEP_HOOKS_QUICK = {
    "plain",
    "onecycle",
    "schedule",
    "user-defined clipping",
}


def marked(names, quick):
    return [pytest.param(name, marks=[pytest.mark.slow] * (name not in quick)) for name in names]


def run_both(command, directory, *arguments, recorder="StepRecorder"):
    """Run with the fast loop and without; return the results of each."""
    (directory / "users.py").write_text(USERS)
    results = []
    for name, overrides in {"fast": [], "lightning": ["~callbacks.fast_loop"]}.items():
        sys.modules.pop("users", None)
        record = [f"+callbacks.recorder._target_=users.{recorder}", f"+callbacks.recorder.path={name}.txt"]
        outcome = command(*arguments, *record, f"hydra.run.dir={name}", "hydra.job.chdir=false", *overrides)
        assert outcome.code == 0, outcome.err
        run = directory / name
        checkpoint = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
        results.append(
            {
                "calls": (directory / f"{name}.txt").read_text().splitlines(),
                "weights": {name: value.tolist() for name, value in checkpoint["state_dict"].items()},
                "optimizers": str(checkpoint["optimizer_states"]),
                "loops": checkpoint["loops"],
                "metrics": (run / "metrics.csv").read_text(),
                "result": json.loads((run / "result.json").read_text())["metrics"],
            }
        )
    return results


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`training_step` returned `None`")
@pytest.mark.parametrize("setting", marked(SETTINGS, QUICK))
def test_a_run_is_the_same_with_the_fast_loop_and_without(setting, command, tmp_path):
    fast, lightning = run_both(command, tmp_path, *TINY, *SETTINGS[setting])
    assert fast["calls"] == lightning["calls"]
    assert fast == lightning


@pytest.mark.slow
@pytest.mark.parametrize("recorder", ["LogsEverywhere", "LogsBetweenEpochs"])
@pytest.mark.parametrize("setting", marked(["validation within the epoch", "accumulation"], QUICK - {"accumulation"}))
def test_values_logged_by_callbacks_are_the_same_with_the_fast_loop_and_without(setting, recorder, command, tmp_path):
    small = ["data.eval_batch_size=50", "data.val_size=120", "data.test_size=120"]
    fast, lightning = run_both(command, tmp_path, *TINY, *small, *SETTINGS[setting], recorder=recorder)
    hooks = {name.split("/")[0] for name in fast["result"] if name.startswith("on_")}
    assert len(hooks) == (19 if recorder == "LogsEverywhere" else 4)
    assert fast["calls"] == lightning["calls"]
    assert fast == lightning


@pytest.fixture
def single_steps(monkeypatch):
    """Return the numbers of the steps that run with hooks."""
    numbers = []
    step = FastStep.step

    def counted(fast_step):
        numbers.append(fast_step.trainer.global_step)
        return step(fast_step)

    monkeypatch.setattr(FastStep, "step", counted)
    return numbers


@pytest.mark.slow
@pytest.mark.parametrize("setting", marked([*WITHOUT_STEP_HOOKS, "onecycle"], WITHOUT_STEP_HOOKS_QUICK))
def test_a_run_without_step_hooks_is_the_same(setting, command, tmp_path, single_steps):
    overrides = SETTINGS.get(setting, ["scheduler=onecycle"])
    fast, lightning = run_both(command, tmp_path, *TINY, *overrides, recorder="EpochRecorder")
    assert fast["calls"] == lightning["calls"]
    assert fast == lightning
    steps = fast["result"] and json.loads((tmp_path / "fast/result.json").read_text())["steps"]
    is_single = setting in ("a task that logs with options", "accumulation")
    assert len(single_steps) >= steps if is_single else len(single_steps) < steps / 2


def test_hooks_of_instances_are_called(command, tmp_path):
    fast, lightning = run_both(command, tmp_path, *TINY, recorder="lambda_recorder")
    assert len(fast["calls"]) > 40
    assert fast == lightning


@pytest.mark.parametrize("overrides", [["callbacks=[default,gradient_clipping]"], ["~callbacks.fast_loop"]])
def test_steps_without_hooks_end_when_the_run_is_to_stop(overrides, command, tmp_path, monkeypatch):
    batches = []

    def stopping(self, batch, batch_idx, step=Supervised.training_step):
        if self._trainer:  # None in the dry run
            batches.append(batch)
            self.trainer.should_stop = len(batches) == 6
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Supervised, "training_step", stopping)
    assert command(*TINY, *overrides, "hydra.run.dir=run", "+trainer.min_epochs=0").code == 0
    assert json.loads((tmp_path / "run/result.json").read_text())["steps"] == 6
    rows = list(csv.DictReader((tmp_path / "run/metrics.csv").read_text().splitlines()))
    assert [row["step"] for row in rows if row["train/loss"]] == ["3", "5"]
    assert overrides[0].startswith("~") or len({row["train/grad_norm"] for row in rows if row["train/loss"]}) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [[], pytest.param(["trainer.accumulate_grad_batches=3", "scheduler=cosine"], marks=pytest.mark.slow)],
)
def test_a_gan_is_the_same_with_the_fast_loop_and_without(overrides, command, tmp_path):
    fast, lightning = run_both(command, tmp_path, *GAN, *overrides)
    assert fast["calls"] == lightning["calls"]
    assert fast == lightning


@pytest.mark.parametrize("failing", [False, True])
def test_filling_of_uninitialized_memory_is_off_during_a_run_and_restored_afterwards(failing, command, monkeypatch):
    values = []
    evaluate = FastEvaluationLoop.run

    def watched(loop):
        values.append(deterministic.fill_uninitialized_memory)
        if failing:
            raise ValueError("broken")
        return evaluate(loop)

    monkeypatch.setattr(FastEvaluationLoop, "run", watched)
    outcome = command("model=linear", "trainer.max_epochs=1", "callbacks=[fast_loop,progress]", "logger=none")
    assert (outcome.code != 0) == failing
    assert values == ([False] if failing else [False, False])  # a validation and a test
    assert deterministic.fill_uninitialized_memory
