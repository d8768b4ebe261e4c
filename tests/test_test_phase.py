"""Test after a training: failed and missing tests, and hyperparameters that are objects."""

import json
from functools import partial, wraps
from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningDataModule, LightningModule

from trainer.data.base import TensorData
from trainer.data.digits import Digits
from trainer.task.supervised import Supervised
from trainer.training.preflight.dry_run_cache import dry_run_results

RUN = ("data=digits", "model=linear", "logger=none", "trainer.max_epochs=2", "hydra.run.dir=run")
RUN += ("+trainer.limit_train_batches=2",)
HYPERPARAMETERS = {
    "net": torch.nn.Linear(1, 1),
    "optimizer": partial(torch.optim.Adam, lr=0.1),
    "path": Path("a"),
    "device": torch.device("cpu"),
    "nested": {"sizes": [1, (2, Path("b"))]},
    "rate": 0.1,
    "sizes": [1, (2, {"three": None})],
}


def read_result():
    return json.loads(Path("run/result.json").read_text())


@pytest.fixture
def with_hyperparameters(monkeypatch):
    """Let the module and the data module save hyperparameters that are objects."""
    for cls in (Supervised, Digits):

        def build(self, *args, original=cls.__init__, **kwargs):
            original(self, *args, **kwargs)
            self.save_hyperparameters(HYPERPARAMETERS)

        monkeypatch.setattr(cls, "__init__", wraps(cls.__init__)(build))


@pytest.mark.slow
@pytest.mark.usefixtures("with_hyperparameters")
def test_hyperparameters_that_are_objects_are_not_part_of_a_checkpoint(command):
    outcome = command(*RUN)
    assert outcome.code == 0, outcome.err
    checkpoint = torch.load("run/checkpoints/best.ckpt", weights_only=True)
    plain = {"rate": 0.1, "sizes": [1, (2, {"three": None})]}
    assert checkpoint["hyper_parameters"] == checkpoint["datamodule_hyper_parameters"] == plain
    expected = read_result()["metrics"]
    assert command("test", "run").code == 0
    [file] = Path("outputs").rglob("result.json")
    assert json.loads(file.read_text())["metrics"]["test/loss"] == expected["test/loss"]
    assert command("resume", "run", "trainer.max_epochs=3").code == 0
    assert read_result()["epochs"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("failure", [ValueError("no such example"), KeyboardInterrupt()])
def test_a_failed_test_loses_neither_the_metrics_nor_the_run(failure, command, monkeypatch):
    def test_step(*_):
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(Supervised, "test_step", test_step)
        outcome = command(*RUN)
    assert outcome.code
    assert "to resume: trainer resume" in outcome.out
    result = read_result()
    is_error = isinstance(failure, ValueError)
    assert result["state"] == ("test_failed" if is_error else "interrupted")
    assert result["steps"] == 4
    assert result["epochs"] == 2
    assert result["checkpoint"].endswith("best.ckpt")
    assert {"train/loss", "val/loss", "val/accuracy", "val/loss_best"} <= result["metrics"].keys()
    if is_error:
        assert result["error"] == "ValueError: no such example"

    assert command("test", "run").code == 0
    [file] = Path("outputs").rglob("result.json")
    tested = json.loads(file.read_text())["metrics"]["test/loss"]
    assert command("resume", "run").code == 0
    resumed = read_result()
    assert resumed["state"] == "finished"
    assert resumed["metrics"]["test/loss"] == tested
    assert resumed["metrics"].items() >= result["metrics"].items()


@pytest.mark.slow
def test_a_test_that_fails_in_one_of_several_processes_keeps_the_metrics(process, tmp_path):
    (tmp_path / "failing.py").write_text(
        "from pytorch_lightning import Callback\n\n\n"
        "class Failing(Callback):\n"
        "    def on_test_start(self, *_):\n"
        "        raise ValueError('no such example')\n"
    )
    outcome = process(*RUN, "trainer=ddp_sim", "+callbacks.failing._target_=failing.Failing")
    assert outcome.code == 1
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["state"] == "test_failed"
    assert {"train/loss", "val/loss", "val/loss_best"} <= result["metrics"].keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cls", "method", "base", "reason"),
    [
        (Supervised, "test_step", LightningModule, "Supervised has no test_step"),
        (TensorData, "test_dataloader", LightningDataModule, "Digits has no test_dataloader"),
    ],
)
def test_a_test_that_is_not_possible_is_skipped(cls, method, base, reason, command, monkeypatch):
    monkeypatch.setattr(cls, method, getattr(base, method))
    dry_run_results.clear()
    outcome = command(*RUN)
    assert outcome.code == 0, outcome.err
    assert f"test: skipped: {reason}" in outcome.out + outcome.err
    result = read_result()
    assert result["state"] == "finished"
    assert not any(name.startswith("test/") for name in result["metrics"])
    outcome = command("test", "run")  # it was asked for
    assert outcome.code == 1
    assert method in outcome.err
