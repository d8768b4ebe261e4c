"""Progress in a notebook, as one output that is replaced in place."""

import io
import sys
from functools import partial
from types import ModuleType, SimpleNamespace

import pytest
import pytorch_lightning as pl
from rich.console import Console
from torch.optim import SGD

from trainer.callbacks import notebook_view, progress
from trainer.callbacks.progress import Progress
from trainer.data.line import Line
from trainer.model.linear import Linear
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised


class Cell:
    """Outputs of a cell, with the functions of `IPython.display`."""

    def __init__(self):
        self.created = []
        self.updates = []

    def display(self, content, *, raw, display_id):
        assert raw
        assert display_id
        self.created.append(content)
        return SimpleNamespace(update=lambda content, *, raw: self.updates.append(content))


class Clock(pl.Callback):
    """A clock that only advances at the start of each training epoch, by 0.2 seconds."""

    now = 1000.0

    def on_train_epoch_start(self, trainer, pl_module):
        self.now += 0.2


@pytest.fixture
def cell(monkeypatch):
    """Replace the terminal by a notebook whose clock stands still."""
    cell = Cell()
    module = ModuleType("IPython.display")
    module.display = cell.display
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=io.StringIO(), force_jupyter=True, width=90))
    monkeypatch.setattr(notebook_view, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    return cell


def fit(*callbacks, epochs=3):
    """Train for some epochs of 4 steps."""
    data = Line(points=16, val_fraction=0, batch_size=4)
    task = Supervised(Linear(data.spec), make_objective(data.spec), partial(SGD, lr=0.1), constant)
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        callbacks=[*callbacks],
        enable_checkpointing=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(task, data)
    return trainer


def test_one_output_contains_the_latest_metrics_and_a_bar(cell, capsys):
    trainer = fit(Progress(seconds_between_lines=0))
    assert len(cell.created) == 1
    *table, bar = cell.updates[-1]["text/plain"].splitlines()
    values = {name: f"{value.item():.4g}" for name, value in trainer.callback_metrics.items()}
    rows = {line.split()[0]: line.split()[1] for line in table[1:]}
    assert rows["train/loss"] == values["train/loss"]
    assert rows["val/loss"] == values["val/loss"]
    assert bar.startswith("epoch 3/3 ")
    assert "12/12" in bar
    assert cell.updates[-1]["text/html"].startswith("<pre ")
    assert capsys.readouterr().out == ""


def test_the_output_is_replaced_a_few_times_a_second_at_most(cell):
    fit(Progress())
    assert len(cell.updates) == 2  # the first update, and the end


def test_training_metrics_are_current_if_validations_are_frequent(cell, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    fit(Progress(), clock, epochs=7)
    [row] = [line for line in cell.updates[-1]["text/plain"].splitlines() if line.startswith("train/loss")]
    assert len(row.split()[-1]) == 5  # points of the epochs 1, 3, 5, 7 and of the end


def test_plain_lines_can_be_chosen_in_a_notebook(cell, capsys):
    fit(Progress(seconds_between_lines=0, live=False))
    assert cell.created == []
    assert len(capsys.readouterr().out.splitlines()) == 3
