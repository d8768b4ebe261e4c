"""Lean validations and tests: what they return, and that it is they which run; test_lean_steps.py compares the rest."""

import pytest
from pytorch_lightning import Trainer
from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop
from torch.optim import Adam

from trainer.callbacks.lean_steps import LeanSteps
from trainer.data.digits import Digits
from trainer.model.mlp import MLP
from trainer.objective import objective_for
from trainer.schedule import constant
from trainer.task.supervised import Supervised

DIGITS = ["data=digits", "model=mlp", "model.net.hidden=[4]", "trainer.max_epochs=1"]


@pytest.fixture
def lightnings_batches(monkeypatch):
    """The batches that Lightning's own loop validates or tests."""
    seen, step = [], _EvaluationLoop._evaluation_step

    def counted(loop, batch, *given):
        seen.append(batch)
        return step(loop, batch, *given)

    monkeypatch.setattr(_EvaluationLoop, "_evaluation_step", counted)
    return seen


@pytest.mark.parametrize("what", ["validate", "test"])
def test_a_validation_or_a_test_by_itself_returns_and_prints_the_same(what, capsys, lightnings_batches):
    data = Digits(val_size=100, test_size=100, eval_batch_size=30)
    task = Supervised(MLP(data.spec, hidden=[4]), objective_for(data.spec), Adam, constant)
    settings = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)

    def outcome(*callbacks):
        trainer = Trainer(accelerator="cpu", callbacks=[*callbacks], **settings)
        return getattr(trainer, what)(task, data), capsys.readouterr().out

    lean = outcome(LeanSteps())
    assert lean[0][0].keys() == {f"{what.removesuffix('idate')}/{name}" for name in ("loss", "accuracy")}
    assert lightnings_batches == []
    assert lean == outcome()
    assert len(lightnings_batches) == 4


def test_a_test_after_a_training_is_lean_as_well(command, lightnings_batches):
    assert command(*DIGITS, "hydra.run.dir=run").code == 0
    assert lightnings_batches == []
    assert command("test", "run/checkpoints/last.ckpt").code == 0
    assert lightnings_batches == []
