"""Precision of matrix products during a run, and its restoration afterwards."""

import pytest
import torch
from pytorch_lightning import Trainer

from trainer.task.supervised import Supervised

OVERRIDES = ("data=line", "model=linear", "trainer.max_epochs=1", "callbacks=[default,matmul_precision]")


@pytest.fixture
def precisions(monkeypatch):
    """Set of precisions in the steps of training, validation and test."""
    precisions = set()
    for name in ("training_step", "validation_step", "test_step"):
        step = getattr(Supervised, name)

        def recording_step(self, *args, step=step):
            if isinstance(self._trainer, Trainer):  # not in the dry run
                precisions.add(torch.get_float32_matmul_precision())
            return step(self, *args)

        monkeypatch.setattr(Supervised, name, recording_step)
    return precisions


@pytest.mark.parametrize(
    ("extra", "precision"), [([], "high"), (["callbacks.matmul_precision.precision=medium"], "medium")]
)
def test_the_precision_is_set_during_a_run_and_restored_afterwards(extra, precision, precisions, command):
    previous = torch.get_float32_matmul_precision()
    assert command(*OVERRIDES, *extra).code == 0
    assert precisions == {precision}
    assert torch.get_float32_matmul_precision() == previous != precision


def test_the_precision_is_restored_after_a_failed_run(precisions, command, monkeypatch):
    previous = torch.get_float32_matmul_precision()

    def fails(self):
        raise RuntimeError("planned")

    monkeypatch.setattr(Supervised, "on_train_epoch_end", fails)
    assert command(*OVERRIDES).code == 1
    assert precisions == {"high"}
    assert torch.get_float32_matmul_precision() == previous != "high"


def test_the_default_precision_is_highest(precisions, command):
    assert command(*OVERRIDES[:3]).code == 0
    assert precisions == {"highest"}


def test_an_unknown_precision_is_rejected(command):
    outcome = command(*OVERRIDES, "callbacks.matmul_precision.precision=tf32")
    assert outcome.code == 1
    assert "callbacks.matmul_precision.precision" in outcome.err
    assert "'high'" in outcome.err
