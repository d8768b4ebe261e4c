"""Display callbacks that raise become inactive, and change neither the weights nor the exit status of a run."""

import errno

import pytest
import torch

CALLBACKS = '''
import random

import numpy as np
import torch
from pytorch_lightning import Callback

ERRORS = []  # raised instead of a ValueError
CALLS = []  # hooks that were called


class Failing(Callback):
    """Use up random numbers, set the network to evaluation mode and raise."""

    affects_training = False

    def __init__(self, hook):
        setattr(self, hook, self.fail)

    def fail(self, trainer, task, *_, **__):
        CALLS.append("fail")
        torch.rand(3), random.random(), np.random.rand()
        task.eval()
        raise ERRORS[0] if ERRORS else ValueError("cannot draw this")

    def on_train_epoch_start(self, *_):
        CALLS.append("epoch")

    def on_exception(self, *_):
        CALLS.append("detached")


class Drawing(Callback):
    """Use up random numbers at every step."""

    affects_training = False

    def on_train_batch_start(self, *_):
        torch.rand(3), random.random(), np.random.rand()


class Affecting(Failing):
    affects_training = True
'''
RUN = ("data=digits", "model=cnn", "model.net.dropout=0.5", "optimizer.lr=0.01", "trainer.max_epochs=2", "logger=none")
RUN += ("+trainer.limit_train_batches=3",)
HOOKS = ("setup", "on_fit_start", "on_train_batch_start", "on_before_optimizer_step", "on_train_batch_end")
HOOKS += ("on_validation_batch_end", "on_validation_epoch_end", "on_test_epoch_end", "state_dict", "teardown")


@pytest.fixture
def shown(tmp_path, monkeypatch):
    (tmp_path / "shown.py").write_text(CALLBACKS)
    monkeypatch.syspath_prepend(tmp_path)
    import shown

    return shown


def add(cls, hook):
    return (f"+callbacks.shown._target_=shown.{cls}", f"+callbacks.shown.hook={hook}")


def weights(name):
    return torch.load(f"{name}/checkpoints/last.ckpt", weights_only=True)["state_dict"]


def equal(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.slow
def test_a_display_callback_that_raises_changes_no_weight_and_does_not_stop_the_run(shown, command):
    assert command(*RUN, "hydra.run.dir=plain").code == 0
    for hook in HOOKS:
        shown.CALLS.clear()
        outcome = command(*RUN, *add("Failing", hook), f"hydra.run.dir={hook}")
        assert outcome.code == 0, outcome.err
        [warning] = [line for line in outcome.err.splitlines() + outcome.out.splitlines() if "inactive" in line]
        if hook != "state_dict":
            assert warning.startswith("warning: callbacks.shown (Failing) is inactive from now on: shown.py:")
            assert warning.endswith(": ValueError: cannot draw this")
            assert shown.CALLS[-2:] == ["fail", "detached"]  # no hook is called afterwards
            assert shown.CALLS.count("fail") == 1
        assert equal(weights("plain"), weights(hook)), hook


def test_the_random_numbers_of_a_display_callback_are_its_own(shown, command):
    assert command(*RUN, "hydra.run.dir=plain").code == 0
    assert command(*RUN, "+callbacks.shown._target_=shown.Drawing", "hydra.run.dir=drawn").code == 0
    assert equal(weights("plain"), weights("drawn"))


def test_other_callbacks_still_stop_the_run(shown, command):
    outcome = command(*RUN, *add("Affecting", "on_train_batch_end"))
    assert outcome.code == 1
    assert outcome.err.endswith("ValueError: cannot draw this\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.png"), "cannot write 'a.png': No space left on device"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out of memory with data.batch_size"),
        (MemoryError(), "out of memory with data.batch_size"),
    ],
)
def test_errors_of_the_machine_still_stop_the_run(error, message, shown, command):
    shown.ERRORS.append(error)
    outcome = command(*RUN, *add("Failing", "on_train_batch_end"))
    assert outcome.code == 1
    assert message in outcome.err


def test_errors_of_the_user_and_exits_still_stop_the_run(shown, command):
    from trainer.core.errors import Pruned, UserError
    from trainer.core.signals import Interrupted

    shown.ERRORS.append(UserError("callbacks.shown: set it"))
    outcome = command(*RUN, *add("Failing", "on_train_batch_end"))
    assert outcome.code == 1
    assert "callbacks.shown: set it" in outcome.err
    for error, code in ((Interrupted(15), 143), (Pruned({}), 0)):
        shown.ERRORS[:] = [error]
        assert command(*RUN, *add("Failing", "on_train_batch_end")).code == code
