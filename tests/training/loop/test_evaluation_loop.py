"""Lean validations and tests: what they return, and that it is they which run; test_lean_steps.py compares the rest."""

import pytest
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop
from torch import nn
from torch.optim import Adam

from trainer.callbacks.fast_loop import LeanSteps
from trainer.data.digits import Digits
from trainer.model.mlp import MLP
from trainer.task.objective import objective_for
from trainer.task.schedulers import constant
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


class KeepsItsHead(MLP):
    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.head = nn.Dropout()

    def train(self, mode=True):
        super().train(mode)
        self.head.train()  # whatever the rest is
        return self


class Evaluates(Supervised):
    def on_validation_model_eval(self):
        self.net.eval()


class GoesOn(Supervised):
    def on_validation_model_train(self):
        self.train()  # all of it, also what was not


class Modes(Callback):
    """Notes which modules are in training, in validations and after them; one is not, from the beginning."""

    def __init__(self):
        self.seen = []

    def on_train_start(self, trainer, pl_module):
        next(one for one in pl_module.net.modules() if isinstance(one, nn.Linear)).eval()

    def note(self, trainer, pl_module, *_):
        self.seen.append([(name, module.training) for name, module in pl_module.named_modules()])

    on_validation_batch_start = on_validation_end = on_train_batch_start = on_train_epoch_end = note


@pytest.mark.parametrize("net", [MLP, KeepsItsHead])
@pytest.mark.parametrize("kind", [Supervised, Evaluates, GoesOn])
def test_modules_are_set_to_evaluation_and_back_as_lightning_does_it(kind, net, lightnings_batches):
    def outcome(*callbacks):
        data, modes = Digits(val_size=100, test_size=100), Modes()
        task = kind(net(data.spec, hidden=[4], dropout=0.1), objective_for(data.spec), Adam, constant)
        settings = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
        limits = {"max_epochs": 2, "limit_train_batches": 2, "num_sanity_val_steps": 0}
        Trainer(accelerator="cpu", callbacks=[*callbacks, modes], **limits, **settings).fit(task, data)
        return modes.seen

    lean = outcome(LeanSteps())
    assert lightnings_batches == []
    assert lean == outcome()
    assert lightnings_batches
    assert {training for moment in lean for _, training in moment} == {True, False}


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
