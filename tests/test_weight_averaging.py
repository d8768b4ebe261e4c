"""Averaged weights: those that are validated are saved, tested, exported, and the same after a resumption."""

import json

import pytest
import torch

import trainer
from trainer.inference.load_checkpoint import read_checkpoint

USERS = '''
import torch
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import WeightAveraging


class Watch(Callback):
    """Notes the weights that are validated and tested, as their sum, epoch by epoch."""

    seen = []

    def note(self, trainer, task, *_):
        if not trainer.sanity_checking:
            total = sum(weight.detach().double().sum().item() for weight in task.net.parameters())
            Watch.seen.append(("test" if trainer.testing else "val", trainer.current_epoch, total))

    on_validation_batch_start = on_test_batch_start = note


class AtEpochs(WeightAveraging):
    """Averages after each epoch, when it has been validated."""

    def should_update(self, step_idx=None, epoch_idx=None):
        return epoch_idx is not None


class Halving(Callback):
    """Halves the weights after each epoch, when they have been validated, as pruning would cut them off."""

    def on_train_epoch_end(self, trainer, task):
        with torch.no_grad():
            for weight in task.net.parameters():
                weight.mul_(0.5)
'''
TINY = ("data=digits", "model=linear", "optimizer.lr=0.01", "logger=none", "hydra.run.dir=run")
EMA = ("+callbacks.average._target_=pytorch_lightning.callbacks.EMAWeightAveraging", "+callbacks.average.decay=0.9")
WATCH = "+callbacks.watch._target_=users.Watch"


@pytest.fixture
def users(tmp_path, monkeypatch):
    (tmp_path / "users.py").write_text(USERS)
    monkeypatch.syspath_prepend(tmp_path)
    import users

    return users


def total(weights):
    return sum(value.double().sum().item() for name, value in weights.items() if name.startswith("net."))


def of_run(run):
    return json.loads((run / "result.json").read_text())["metrics"]


@pytest.mark.parametrize(
    "how",
    [
        EMA,
        (*EMA, "~callbacks.lean_steps"),
        (*EMA, "+callbacks.average.update_starting_at_epoch=0"),
        ("+callbacks.average._target_=pytorch_lightning.callbacks.WeightAveraging",),
        ("+callbacks.average._target_=users.AtEpochs",),
        ("+callbacks.average._target_=users.Halving",),
    ],
    ids=["ema", "Lightning's loop", "ema at epochs too", "mean", "mean at epochs", "no average"],
)
def test_the_weights_that_were_validated_are_saved_and_tested(how, users, command, tmp_path):
    done = command(*TINY, *how, WATCH, "trainer.max_epochs=3")
    assert done.code == 0, done.err
    content = read_checkpoint(tmp_path / "run/checkpoints/best.ckpt", "users")
    seen = {(stage, epoch): weights for stage, epoch, weights in users.Watch.seen}
    best = content["epoch"] - 1  # counted from 0
    tested = next(weights for (stage, _), weights in seen.items() if stage == "test")
    assert seen["val", best] == tested == total(content["state_dict"])
    if "Halving" not in how[0]:
        assert total(content["current_model_state"]) != pytest.approx(tested)

    run = of_run(tmp_path / "run")
    assert command("test", "run", "trust=users").code == 0
    [other] = (tmp_path / "outputs").rglob("result.json")
    again = of_run(other.parent)
    assert [again[f"test/{name}"] for name in ("loss", "accuracy")] == [run["test/loss"], run["test/accuracy"]]
    assert "WeightAveraging" not in done.err


def test_predictions_and_exports_are_made_by_the_averaged_weights(users, command, tmp_path):
    pytest.importorskip("torch.export")
    assert command(*TINY, *EMA, "trainer.max_epochs=2").code == 0
    weights = torch.load("run/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    inputs = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    [matrix, bias] = [value for name, value in weights.items() if name.startswith("net.")]
    expected = inputs.flatten(1) @ matrix.T + bias
    assert torch.allclose(trainer.load("run").outputs(inputs), expected, atol=1e-6)
    assert command("export", "run", "to=a.pt2").code == 0
    assert torch.allclose(torch.export.load("a.pt2").module()(inputs), expected, atol=1e-6)


def test_a_run_that_is_resumed_averages_as_if_it_had_not_stopped(users, command, tmp_path):
    assert command(*TINY, *EMA, "trainer.max_epochs=3").code == 0
    (tmp_path / "run").rename("whole")
    assert command(*TINY, *EMA, "trainer.max_epochs=2").code == 0
    assert command("resume", "run", "trainer.max_epochs=3").code == 0
    ours, theirs = (torch.load(f"{run}/checkpoints/last.ckpt", weights_only=True) for run in ("run", "whole"))
    for key in ("state_dict", "current_model_state"):
        assert all(torch.equal(value, theirs[key][name]) for name, value in ours[key].items())
    assert of_run(tmp_path / "run") == of_run(tmp_path / "whole")


def test_an_average_that_no_checkpoint_holds_is_refused(command):
    average = ("+callbacks.swa._target_=pytorch_lightning.callbacks.StochasticWeightAveraging",)
    done = command(*TINY, *average, "+callbacks.swa.swa_lrs=0.01")
    assert "callbacks.swa: its average is not validated, and no checkpoint has it" in done.err
    assert "pytorch_lightning.callbacks.WeightAveraging" in done.err
