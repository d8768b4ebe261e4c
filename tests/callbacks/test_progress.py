"""Progress: lines where there is no terminal, a bar where there is one, silence in all processes but the first."""

import io
import re
import sys
from functools import partial
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping
from rich.console import Console
from torch.optim import SGD

from trainer.callbacks import live_display, progress
from trainer.callbacks.progress import TrainingProgress
from trainer.data.line import Line
from trainer.model.linear import Linear
from trainer.task.objective import objective_for
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised


class Clock(pl.Callback):
    """A clock that stands still but for a jump in each training epoch."""

    def __init__(self, seconds_an_epoch):
        self.now, self.seconds_an_epoch = 1000.0, seconds_an_epoch

    def monotonic(self):
        return self.now

    def on_train_epoch_start(self, trainer, pl_module):
        self.now += self.seconds_an_epoch


class Interruption(pl.Callback):
    """Breaks off the training in its second epoch."""

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            raise RuntimeError("interrupted")


def fit(callback, *others, epochs=3, **settings):
    """Train for some epochs of 4 steps."""
    data = Line(points=16, val_share=0, batch_size=4)
    task = Supervised(Linear(data.spec), objective_for(data.spec), partial(SGD, lr=0.1), constant)
    trainer = pl.Trainer(
        **{"max_epochs": epochs, "accelerator": "cpu", "logger": False, "enable_checkpointing": False} | settings,
        callbacks=[callback, *others],
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(task, data)
    return trainer


def epochs_of(text):
    return [int(line.removeprefix("epoch ").split("/")[0]) for line in text.splitlines()]


@pytest.fixture
def terminal(monkeypatch):
    """Pretend that standard error is a terminal, and give what is drawn there."""
    drawn = io.StringIO()
    stderr = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stderr, maxsize=sys.maxsize))
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=drawn, force_terminal=True, width=200))
    return drawn


def lines(drawn):
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.getvalue()).replace("\r", "\n")
    return [line.strip() for line in text.strip().splitlines()]


def last_line(drawn):
    return lines(drawn)[-1]


def test_a_line_tells_epoch_step_and_metrics(capsys):
    trainer = fit(TrainingProgress(), epochs=1)
    values = {name: f"{value.item():.4g}" for name, value in trainer.callback_metrics.items()}
    out = capsys.readouterr().out
    assert out.startswith("epoch 1/1  step 4  train/loss ")
    for name in ("train/loss", "val/loss", "val/mae", "val/rmse", "val/r2"):
        assert f"  {name} {values[name]}" in out


def test_the_first_and_the_last_epoch_have_a_line_however_fast(capsys):
    fit(TrainingProgress(seconds_between_lines=3600), epochs=6)
    assert epochs_of(capsys.readouterr().out) == [1, 6]


def test_each_epoch_has_a_line_if_lines_need_no_time_between_them(capsys):
    fit(TrainingProgress(seconds_between_lines=0), epochs=4)
    assert epochs_of(capsys.readouterr().out) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("seconds_an_epoch", "said"), [(7, [1, 3, 5, 7, 8]), (10, [1, 2, 3, 4, 5, 6, 7, 8]), (4, [1, 4, 7, 8])]
)
def test_lines_stand_ten_seconds_apart(capsys, monkeypatch, seconds_an_epoch, said):
    clock = Clock(seconds_an_epoch)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock.monotonic))
    fit(TrainingProgress(), clock, epochs=8)
    assert epochs_of(capsys.readouterr().out) == said


@pytest.mark.parametrize(
    ("ending", "said"), [({"max_steps": 12}, "epoch 3/6  step 12  "), ({"max_steps": 10}, "epoch 3/6  step 10  ")]
)
def test_a_training_that_its_steps_end_early_has_its_last_line(capsys, ending, said):
    fit(TrainingProgress(seconds_between_lines=3600), epochs=6, **ending)
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("epoch 1/6  step 4  ")
    assert last.startswith(said)


def test_a_training_that_stops_early_has_its_last_line(capsys):
    stop = EarlyStopping("val/loss", mode="max", patience=2)  # as if the loss should rise: it stops after epoch 3
    trainer = fit(TrainingProgress(seconds_between_lines=3600), stop, epochs=6)
    said = capsys.readouterr().out
    assert epochs_of(said) == [1, 3]
    assert f"  val/loss {trainer.callback_metrics['val/loss'].item():.4g}" in said.splitlines()[1]


def test_an_end_that_has_its_line_already_gets_no_second_one(capsys):
    fit(TrainingProgress(seconds_between_lines=0), epochs=6, max_steps=8)
    assert epochs_of(capsys.readouterr().out) == [1, 2]


def test_a_training_without_a_number_of_epochs_has_a_question_mark(capsys):
    fit(TrainingProgress(), epochs=-1, max_steps=4)
    assert capsys.readouterr().out.startswith("epoch 1/?  step 4  ")


def test_other_ranks_are_silent(capsys, terminal, monkeypatch):
    callback = TrainingProgress(seconds_between_lines=0)
    callback.setup(SimpleNamespace(is_global_zero=False), None, "fit")
    fit(callback)
    monkeypatch.undo()  # and no terminal
    fit(callback)
    assert capsys.readouterr().out == ""
    assert terminal.getvalue() == ""


def test_a_silenced_one_speaks_again_once_enabled(capsys):
    callback = TrainingProgress()
    callback.disable()
    callback.enable()
    fit(callback, epochs=1)
    assert epochs_of(capsys.readouterr().out) == [1]


def test_without_a_terminal_there_is_no_bar(capsys):
    fit(TrainingProgress())
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_that_ends_at_the_last_step_and_no_lines(capsys, terminal):
    fit(TrainingProgress(seconds_between_lines=0))
    end = last_line(terminal)
    assert end.startswith("epoch 3/3 ")
    assert "12/12" in end
    assert "steps/s" in end
    assert capsys.readouterr().out == ""


def test_above_the_bar_stand_the_metrics_with_the_best_so_far_and_their_course(terminal):
    trainer = fit(TrainingProgress())
    rows = {line.split()[0]: line.split()[1:] for line in lines(terminal)[-8:-1]}
    now = {name: f"{value.item():.4g}" for name, value in trainer.callback_metrics.items()}
    assert {*rows} >= {"train/loss", "val/loss", "val/mae", "val/r2"}
    assert rows["train/loss"][0] == now["train/loss"]
    assert len(rows["train/loss"]) == 2  # no best: it is of a single batch
    assert rows["val/loss"][:2] == [now["val/loss"]] * 2  # it fell: the last is the best
    assert re.fullmatch("█[▁-█]▁", rows["val/loss"][2])  # of three epochs
    assert rows["val/r2"][2].startswith("▁")


def test_who_wants_lines_in_a_terminal_gets_them(capsys, terminal):
    fit(TrainingProgress(seconds_between_lines=0, live=False))
    assert epochs_of(capsys.readouterr().out) == [1, 2, 3]
    assert terminal.getvalue() == ""


def test_a_metric_is_looked_at_a_few_times_a_second_at_most(terminal, monkeypatch):
    looks = []
    monkeypatch.setattr(TrainingProgress, "_metrics", lambda *_: looks.append(1) or iter(()))
    clock = Clock(0)  # stands still
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock.monotonic))
    fit(TrainingProgress(), clock, epochs=5)
    assert len(looks) == 1 + 5 + 1  # the first step, each validation, the end


def test_the_bar_counts_optimizer_steps(terminal):
    fit(TrainingProgress(), accumulate_grad_batches=2)
    assert "6/6" in last_line(terminal)


def test_the_bar_tells_the_last_epoch_and_its_metrics_without_validation_too(terminal):
    trainer = fit(TrainingProgress(), limit_val_batches=0)
    assert last_line(terminal).startswith("epoch 3/3 ")
    assert lines(terminal)[-2].split()[:2] == ["train/loss", f"{trainer.callback_metrics['train/loss'].item():.4g}"]


def test_the_rate_is_that_of_this_training(terminal, monkeypatch):
    clock = Clock(2)
    for module in (progress, live_display):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.monotonic))
    fit(TrainingProgress(), clock)
    assert re.search(r" 2 steps/s", last_line(terminal))  # 12 steps in 6 seconds


def test_a_bar_without_a_known_end_is_drawn(terminal):
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(TrainingProgress(), Interruption(), epochs=-1)
    assert re.match(r"epoch 2/\? .* 4/\? ", last_line(terminal))


def test_an_interrupted_training_leaves_no_bar_running(terminal):
    callback = TrainingProgress()
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(callback, Interruption())
    assert callback._view is None
    assert "4/12" in last_line(terminal)
    assert terminal.getvalue().count("\x1b[?25h") == 1  # the cursor is shown again
