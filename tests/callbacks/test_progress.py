"""Progress as plain lines and in a terminal; only the first process prints."""

import io
import re
from functools import partial
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping
from rich.console import Console
from torch.optim import SGD

from trainer.callbacks import live_display, progress
from trainer.callbacks.progress import Progress
from trainer.data.line import Line
from trainer.model.linear import Linear
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised


class Clock(pl.Callback):
    """A clock that only advances at the start of each training epoch."""

    def __init__(self, seconds_per_epoch):
        self.now, self.seconds_per_epoch = 1000.0, seconds_per_epoch

    def monotonic(self):
        return self.now

    def on_train_epoch_start(self, trainer, pl_module):
        self.now += self.seconds_per_epoch


class StepClock(Clock):
    """A clock that advances at the start of each batch."""

    def on_train_epoch_start(self, trainer, pl_module):
        pass

    def on_train_batch_start(self, trainer, pl_module, *_):
        self.now += self.seconds_per_epoch / 4


class Interruption(pl.Callback):
    """Raises an exception in the second epoch."""

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            raise RuntimeError("interrupted")


def fit(callback, *others, epochs=3, **settings):
    """Train for some epochs of 4 steps."""
    data = Line(points=16, val_fraction=0, batch_size=4)
    task = Supervised(Linear(data.spec), make_objective(data.spec), partial(SGD, lr=0.1), constant)
    trainer = pl.Trainer(
        **{"max_epochs": epochs, "accelerator": "cpu", "logger": False, "enable_checkpointing": False} | settings,
        callbacks=[callback, *others],
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(task, data)
    return trainer


def get_epochs(text):
    return [int(line.removeprefix("epoch ").split("/")[0]) for line in text.splitlines()]


@pytest.fixture
def terminal(monkeypatch):
    """Replace standard error by a terminal; return its output."""
    output = io.StringIO()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=SimpleNamespace(isatty=lambda: True)))
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=output, force_terminal=True, width=200))
    return output


def lines(output):
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue()).replace("\r", "\n")
    return [line.strip() for line in text.strip().splitlines()]


def last_line(output):
    return lines(output)[-1]


def test_a_line_contains_epoch_step_and_metrics(capsys):
    trainer = fit(Progress(), epochs=1)
    values = {name: f"{value.item():.4g}" for name, value in trainer.callback_metrics.items()}
    out = capsys.readouterr().out
    assert out.startswith("epoch 1/1  step 4  train/loss ")
    for name in ("train/loss", "val/loss", "val/mae", "val/rmse", "val/r2"):
        assert f"  {name} {values[name]}" in out


def test_the_first_and_the_last_epoch_always_have_a_line(capsys):
    fit(Progress(seconds_between_lines=3600), epochs=6)
    assert get_epochs(capsys.readouterr().out) == [1, 6]


def test_each_epoch_has_a_line_without_a_least_time_between_lines(capsys):
    fit(Progress(seconds_between_lines=0), epochs=4)
    assert get_epochs(capsys.readouterr().out) == [1, 2, 3, 4]


@pytest.mark.parametrize(("seconds_per_epoch", "expected"), [(7, [1, 3, 5, 7, 8]), (4, [1, 4, 7, 8])])
def test_lines_are_ten_seconds_apart(capsys, monkeypatch, seconds_per_epoch, expected):
    clock = Clock(seconds_per_epoch)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock.monotonic))
    fit(Progress(), clock, epochs=8)
    assert get_epochs(capsys.readouterr().out) == expected


def test_long_epochs_have_lines_with_the_remaining_time(capsys, monkeypatch):
    clock = StepClock(80)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock.monotonic))
    fit(Progress(seconds_between_lines=30), clock, epochs=2)
    starts = [line.partition("  train/loss")[0] for line in capsys.readouterr().out.splitlines()]
    # 20 s per step, 4 steps per epoch
    assert starts == [
        "epoch 1/2  step 2 of 8 (2 min left)",
        "epoch 1/2  step 4 of 8 (80 s left)",
        "epoch 2/2  step 6 of 8 (40 s left)",
        "epoch 2/2  step 8",
    ]


@pytest.mark.parametrize(
    ("limits", "expected"), [({"max_steps": 12}, "epoch 3/6  step 12  "), ({"max_steps": 10}, "epoch 3/6  step 10  ")]
)
def test_a_training_limited_by_steps_has_a_last_line(capsys, limits, expected):
    fit(Progress(seconds_between_lines=3600), epochs=6, **limits)
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("epoch 1/6  step 4  ")
    assert last.startswith(expected)


def test_a_training_that_stops_early_has_a_last_line(capsys):
    stop = EarlyStopping("val/loss", mode="max", patience=2)  # the loss should rise, so it stops after epoch 3
    trainer = fit(Progress(seconds_between_lines=3600), stop, epochs=6)
    output = capsys.readouterr().out
    assert get_epochs(output) == [1, 3]
    assert f"  val/loss {trainer.callback_metrics['val/loss'].item():.4g}" in output.splitlines()[1]


def test_the_last_line_is_not_repeated(capsys):
    fit(Progress(seconds_between_lines=0), epochs=6, max_steps=8)
    assert get_epochs(capsys.readouterr().out) == [1, 2]


def test_an_unlimited_number_of_epochs_is_a_question_mark(capsys):
    fit(Progress(), epochs=-1, max_steps=4)
    assert capsys.readouterr().out.startswith("epoch 1/?  step 4  ")


def test_other_ranks_print_nothing(capsys, terminal, monkeypatch):
    callback = Progress(seconds_between_lines=0)
    callback.setup(SimpleNamespace(is_global_zero=False), None, "fit")
    fit(callback)
    monkeypatch.undo()  # no terminal
    fit(callback)
    assert capsys.readouterr().out == ""
    assert terminal.getvalue() == ""


def test_a_disabled_callback_can_be_enabled(capsys):
    callback = Progress()
    callback.disable()
    callback.enable()
    fit(callback, epochs=1)
    assert get_epochs(capsys.readouterr().out) == [1]


def test_without_a_terminal_there_is_no_progress_bar(capsys):
    fit(Progress())
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_progress_bar_and_no_lines(capsys, terminal):
    fit(Progress(seconds_between_lines=0))
    end = last_line(terminal)
    assert end.startswith("epoch 3/3 ")
    assert "12/12" in end
    assert "steps/s" in end
    assert capsys.readouterr().out == ""


def test_the_table_contains_last_and_best_values_and_sparklines(terminal):
    trainer = fit(Progress())
    rows = {line.split()[0]: line.split()[1:] for line in lines(terminal)[-8:-1]}
    values = {name: f"{value.item():.4g}" for name, value in trainer.callback_metrics.items()}
    assert {*rows} >= {"train/loss", "val/loss", "val/mae", "val/r2"}
    assert rows["train/loss"][0] == values["train/loss"]
    assert len(rows["train/loss"]) == 2  # no best for single batches
    assert rows["val/loss"][:2] == [values["val/loss"]] * 2  # it decreased, so the last is the best
    assert re.fullmatch("█[▁-█]▁", rows["val/loss"][2])  # three epochs
    assert rows["val/r2"][2].startswith("▁")


def test_plain_lines_can_be_chosen_in_a_terminal(capsys, terminal):
    fit(Progress(seconds_between_lines=0, live=False))
    assert get_epochs(capsys.readouterr().out) == [1, 2, 3]
    assert terminal.getvalue() == ""


def test_metrics_are_collected_a_few_times_a_second_at_most(terminal, monkeypatch):
    calls = []
    monkeypatch.setattr(Progress, "_metrics", lambda *_: calls.append(1) or iter(()))
    clock = Clock(0)  # constant
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock.monotonic))
    fit(Progress(), clock, epochs=5)
    assert len(calls) == 1 + 5 + 1  # the first step, each validation, the end


def test_the_progress_bar_counts_optimizer_steps(terminal):
    fit(Progress(), accumulate_grad_batches=2)
    assert "6/6" in last_line(terminal)


def test_the_last_epoch_and_its_metrics_are_shown_without_validation(terminal):
    trainer = fit(Progress(), limit_val_batches=0)
    assert last_line(terminal).startswith("epoch 3/3 ")
    assert lines(terminal)[-2].split()[:2] == ["train/loss", f"{trainer.callback_metrics['train/loss'].item():.4g}"]


def test_the_rate_is_steps_per_second(terminal, monkeypatch):
    clock = Clock(2)
    for module in (progress, live_display):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.monotonic))
    fit(Progress(), clock)
    assert re.search(r" 2 steps/s", last_line(terminal))  # 12 steps in 6 seconds


def test_a_progress_bar_without_a_total_is_drawn(terminal):
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(Progress(), Interruption(), epochs=-1)
    assert re.match(r"epoch 2/\? .* 4/\? ", last_line(terminal))


def test_the_display_stops_if_the_training_is_interrupted(terminal):
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(callback := Progress(), Interruption())
    assert callback._display is None
    assert "4/12" in last_line(terminal)
    assert terminal.getvalue().count("\x1b[?25h") == 1  # the cursor is shown again
