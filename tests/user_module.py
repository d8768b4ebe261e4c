"""Module of a user, which the fixture `user_module` copies to the working directory of a test as `users.py`."""

import signal
from pathlib import Path

import torch
from pytorch_lightning import Callback

from trainer.task.supervised import Supervised


class StopAt(Callback):
    """Raise the signals that `stop.txt` names, after one step of the training, and delete the file."""

    def __init__(self, step=27):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        file = Path("stop.txt")
        if file.exists() and trainer.fit_loop.total_batch_idx + 1 == self.step:
            for name in file.read_text().split():
                signal.raise_signal(getattr(signal, name))
            file.unlink()


class StopAtEnd(StopAt):
    """Raise the signals after the last batch of the test."""

    def on_train_batch_end(self, *_):
        pass

    def on_test_epoch_end(self, *_):
        for name in Path("stop.txt").read_text().split():
            signal.raise_signal(getattr(signal, name))


class Greedy(Supervised):
    """A task that runs out of memory."""

    def training_step(self, batch, batch_idx):
        torch.empty(2**60)
