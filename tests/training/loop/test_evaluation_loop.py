"""Results of the fast evaluation loop, and checks that it is used; test_fast_loop.py compares everything else."""

import pytest
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop
from torch import nn
from torch.optim import Adam

from trainer.callbacks.fast_loop import FastLoop
from trainer.data.digits import Digits
from trainer.model.mlp import MLP
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised

DIGITS = ["data=digits", "model=mlp", "model.net.hidden=[4]", "trainer.max_epochs=1"]


@pytest.fixture
def lightning_batches(monkeypatch):
    """Return the batches that Lightning's own loop evaluates."""
    batches = []
    step = _EvaluationLoop._evaluation_step

    def counted(loop, batch, *args):
        batches.append(batch)
        return step(loop, batch, *args)

    monkeypatch.setattr(_EvaluationLoop, "_evaluation_step", counted)
    return batches


class OverridesTrain(MLP):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.head = nn.Dropout()

    def train(self, mode=True):
        super().train(mode)
        self.head.train()  # in all modes
        return self


class OverridesEvalHook(Supervised):
    def on_validation_model_eval(self):
        self.net.eval()


class OverridesTrainHook(Supervised):
    def on_validation_model_train(self):
        self.train()  # also modules that were in evaluation mode


class ModeRecorder(Callback):
    """Records which modules are in training mode; one is in evaluation mode from the start."""

    def __init__(self):
        self.modes = []

    def on_train_start(self, trainer, pl_module):
        next(module for module in pl_module.net.modules() if isinstance(module, nn.Linear)).eval()

    def record(self, trainer, pl_module, *_):
        self.modes.append([(name, module.training) for name, module in pl_module.named_modules()])

    on_validation_batch_start = on_validation_end = on_train_batch_start = on_train_epoch_end = record


@pytest.mark.parametrize("net", [MLP, OverridesTrain])
@pytest.mark.parametrize("task_class", [Supervised, OverridesEvalHook, OverridesTrainHook])
def test_module_modes_are_the_same_as_with_lightning(task_class, net, lightning_batches):
    def outcome(*callbacks):
        data = Digits(val_size=100, test_size=100)
        recorder = ModeRecorder()
        task = task_class(net(data.spec, hidden=[4], dropout=0.1), make_objective(data.spec), Adam, constant)
        settings = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
        limits = {"max_epochs": 2, "limit_train_batches": 2, "num_sanity_val_steps": 0}
        Trainer(accelerator="cpu", callbacks=[*callbacks, recorder], **limits, **settings).fit(task, data)
        return recorder.modes

    fast = outcome(FastLoop())
    assert lightning_batches == []
    assert fast == outcome()
    assert lightning_batches
    assert {training for modes in fast for _, training in modes} == {True, False}


@pytest.mark.parametrize("method", ["validate", "test"])
def test_a_separate_validation_or_test_returns_and_prints_the_same(method, capsys, lightning_batches):
    data = Digits(val_size=100, test_size=100, eval_batch_size=30)
    task = Supervised(MLP(data.spec, hidden=[4]), make_objective(data.spec), Adam, constant)
    settings = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)

    def outcome(*callbacks):
        trainer = Trainer(accelerator="cpu", callbacks=[*callbacks], **settings)
        return getattr(trainer, method)(task, data), capsys.readouterr().out

    fast = outcome(FastLoop())
    assert fast[0][0].keys() == {f"{method.removesuffix('idate')}/{name}" for name in ("loss", "accuracy")}
    assert lightning_batches == []
    assert fast == outcome()
    assert len(lightning_batches) == 4


def test_a_test_after_a_training_uses_the_fast_loop(command, lightning_batches):
    assert command(*DIGITS, "hydra.run.dir=run").code == 0
    assert lightning_batches == []
    assert command("test", "run/checkpoints/last.ckpt").code == 0
    assert lightning_batches == []
