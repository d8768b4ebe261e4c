"""Validation, checkpoints, test, export and resuming of runs with averaged weights."""

import json

import pytest
import torch

import trainer
from trainer.inference.load_checkpoint import read_checkpoint

CALLBACKS = '''
import torch
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import WeightAveraging


class Recorder(Callback):
    """Record the sum of the weights in each validation and test."""

    sums = []

    def record(self, trainer, task, *_):
        if not trainer.sanity_checking:
            total = sum(weight.detach().double().sum().item() for weight in task.net.parameters())
            Recorder.sums.append(("test" if trainer.testing else "val", trainer.current_epoch, total))

    on_validation_batch_start = on_test_batch_start = record


class AtEpochs(WeightAveraging):
    """Update the average after the validation of each epoch."""

    def should_update(self, step_idx=None, epoch_idx=None):
        return epoch_idx is not None


class Halving(Callback):
    """Change the weights after the validation of each epoch."""

    def on_train_epoch_end(self, trainer, task):
        with torch.no_grad():
            for weight in task.net.parameters():
                weight.mul_(0.5)
'''
TINY = ("data=digits", "model=linear", "optimizer.lr=0.01", "logger=none", "hydra.run.dir=run")
EMA = ("callbacks=[default,ema]", "callbacks.ema.decay=0.9")
RECORDER = "+callbacks.recorder._target_=user_callbacks.Recorder"


@pytest.fixture
def user_callbacks(tmp_path, monkeypatch):
    (tmp_path / "user_callbacks.py").write_text(CALLBACKS)
    monkeypatch.syspath_prepend(tmp_path)
    import user_callbacks

    return user_callbacks


def sum_weights(weights):
    return sum(value.double().sum().item() for name, value in weights.items() if name.startswith("net."))


def read_metrics(run):
    return json.loads((run / "result.json").read_text())["metrics"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        EMA,
        pytest.param((*EMA, "~callbacks.fast_loop"), marks=pytest.mark.slow),
        pytest.param((*EMA, "+callbacks.ema.update_starting_at_epoch=0"), marks=pytest.mark.slow),
        ("callbacks=[default,swa]", "callbacks.swa.start_epoch=0"),
        pytest.param(("callbacks=[default,lookahead]", "callbacks.lookahead.every_n_steps=7"), marks=pytest.mark.slow),
        ("+callbacks.average._target_=pytorch_lightning.callbacks.WeightAveraging",),
        pytest.param(("+callbacks.average._target_=user_callbacks.AtEpochs",), marks=pytest.mark.slow),
        ("+callbacks.average._target_=user_callbacks.Halving",),
    ],
    ids=["ema", "Lightning's loop", "ema at epochs too", "swa", "lookahead", "mean", "mean at epochs", "no average"],
)
def test_the_validated_weights_are_saved_and_tested(overrides, user_callbacks, command, tmp_path):
    outcome = command(*TINY, *overrides, RECORDER, "trainer.max_epochs=3")
    assert outcome.code == 0, outcome.err
    checkpoint = read_checkpoint(tmp_path / "run/checkpoints/best.ckpt", "user_callbacks")
    sums = {(stage, epoch): total for stage, epoch, total in user_callbacks.Recorder.sums}
    best = checkpoint["epoch"] - 1  # counted from 0
    tested = next(total for (stage, _), total in sums.items() if stage == "test")
    assert sums["val", best] == tested == sum_weights(checkpoint["state_dict"])
    if "Halving" not in overrides[0]:
        assert sum_weights(checkpoint["current_model_state"]) != pytest.approx(tested)

    expected = read_metrics(tmp_path / "run")
    assert command("test", "run", "--trust=user_callbacks").code == 0
    [file] = (tmp_path / "outputs").rglob("result.json")
    actual = read_metrics(file.parent)
    assert all(actual[name] == expected[name] for name in ("test/loss", "test/accuracy"))
    assert "WeightAveraging" not in outcome.err


@pytest.mark.slow
def test_the_weights_of_a_validation_between_accumulated_batches_are_saved(user_callbacks, command, tmp_path):
    accumulation = ("trainer.accumulate_grad_batches=3", "+trainer.val_check_interval=7", "trainer.max_epochs=1")
    assert command(*TINY, RECORDER, *accumulation).code == 0
    validated = [total for stage, _, total in user_callbacks.Recorder.sums if stage == "val"]
    assert len({*validated}) == 2  # after 7 and 14 of 20 batches
    checkpoint = read_checkpoint(tmp_path / "run/checkpoints/best.ckpt", "user_callbacks")
    assert sum_weights(checkpoint["state_dict"]) == validated[-1]


@pytest.mark.slow
def test_predictions_and_exports_use_the_averaged_weights(user_callbacks, command, tmp_path):
    pytest.importorskip("torch.export")
    assert command(*TINY, *EMA, "trainer.max_epochs=2").code == 0
    weights = torch.load("run/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    inputs = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    [matrix, bias] = [value for name, value in weights.items() if name.startswith("net.")]
    expected = inputs.flatten(1) @ matrix.T + bias
    assert torch.allclose(trainer.load("run").outputs(inputs), expected, atol=1e-6)
    assert command("export", "run", "--to=a.pt2").code == 0
    assert torch.allclose(torch.export.load("a.pt2").module()(inputs), expected, atol=1e-6)


@pytest.mark.slow
def test_a_resumed_run_has_the_average_of_an_uninterrupted_run(user_callbacks, command, tmp_path):
    assert command(*TINY, *EMA, "trainer.max_epochs=3").code == 0
    (tmp_path / "run").rename("uninterrupted")
    assert command(*TINY, *EMA, "trainer.max_epochs=2").code == 0
    assert command("resume", "run", "trainer.max_epochs=3").code == 0
    resumed, expected = (
        torch.load(f"{run}/checkpoints/last.ckpt", weights_only=True) for run in ("run", "uninterrupted")
    )
    for key in ("state_dict", "current_model_state"):
        assert all(torch.equal(value, expected[key][name]) for name, value in resumed[key].items())
    assert read_metrics(tmp_path / "run") == read_metrics(tmp_path / "uninterrupted")


def test_an_average_that_is_not_in_the_checkpoint_is_refused(command):
    average = ("+callbacks.swa._target_=pytorch_lightning.callbacks.StochasticWeightAveraging",)
    outcome = command(*TINY, *average, "+callbacks.swa.swa_lrs=0.01")
    assert "callbacks.swa: the averaged weights are neither validated nor saved" in outcome.err
    assert "callbacks=[default,swa]" in outcome.err
