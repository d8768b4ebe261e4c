"""Matmul precision: what was asked for while the run lasts, and what was there before when it is over."""

import pytest
import torch
from pytorch_lightning import Trainer

from trainer.task.supervised import Supervised

WORDS = ("data=line", "model=linear", "trainer.max_epochs=1", "callbacks=[default,matmul_precision]")


@pytest.fixture
def seen(monkeypatch):
    """The precision at each step, of training, validation and test."""
    seen = set()
    for name in ("training_step", "validation_step", "test_step"):
        step = getattr(Supervised, name)

        def noted(self, *given, step=step):
            if isinstance(self._trainer, Trainer):  # not in the rehearsal before the run
                seen.add(torch.get_float32_matmul_precision())
            return step(self, *given)

        monkeypatch.setattr(Supervised, name, noted)
    return seen


@pytest.mark.parametrize(
    ("more", "precision"), [([], "high"), (["callbacks.matmul_precision.precision=medium"], "medium")]
)
def test_a_run_has_the_precision_and_what_follows_has_the_one_before(more, precision, seen, command):
    before = torch.get_float32_matmul_precision()
    assert command(*WORDS, *more).code == 0
    assert seen == {precision}
    assert torch.get_float32_matmul_precision() == before != precision


def test_a_run_that_fails_leaves_the_one_before_too(seen, command, monkeypatch):
    before = torch.get_float32_matmul_precision()

    def fails(self):
        raise RuntimeError("planned")

    monkeypatch.setattr(Supervised, "on_train_epoch_end", fails)
    assert command(*WORDS).code == 1
    assert seen == {"high"}
    assert torch.get_float32_matmul_precision() == before != "high"


def test_without_it_all_bits_count(seen, command):
    assert command(*WORDS[:3]).code == 0
    assert seen == {"highest"}


def test_another_word_is_refused(command):
    answer = command(*WORDS, "callbacks.matmul_precision.precision=tf32")
    assert answer.code == 1
    assert "callbacks.matmul_precision.precision" in answer.err
    assert "'high'" in answer.err
