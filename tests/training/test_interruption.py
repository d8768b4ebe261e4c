"""Interruption points between batches, and errors of other processes that the same signal has caused."""

import signal
import warnings

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from trainer.core.signals import Interrupted, interruptible, shutdown
from trainer.training.interruption import InterruptionPoints, attribute_to_signal


class Module(pl.LightningModule):
    """A module that raises a signal in its second batch, and counts its batches."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.n_batches = 0

    def training_step(self, batch, batch_idx):
        self.n_batches += 1
        if self.n_batches == 2:
            signal.raise_signal(signal.SIGTERM)
        return self.layer(batch).sum()

    validation_step = test_step = predict_step = training_step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize("stage", ["fit", "validate", "test", "predict"])
def test_a_signal_interrupts_all_loops_after_the_batch(stage, tmp_path, capfd):
    module = Module()
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    options |= {"enable_model_summary": False, "max_epochs": 3}

    @interruptible()
    def run():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = pl.Trainer(callbacks=[InterruptionPoints()], default_root_dir=tmp_path, **options)
            getattr(trainer, stage)(module, DataLoader(torch.zeros(5, 1)))

    with pytest.raises(Interrupted, match="SIGTERM"):
        run()
    assert module.n_batches == 2
    assert "Received SIGTERM" not in capfd.readouterr().err  # by the handler of Lightning


@pytest.mark.parametrize("message", ["DataLoader worker (pid 7) is killed by signal: Terminated", "other"])
def test_the_end_of_a_worker_by_the_same_signal_is_an_interruption(message):
    @interruptible()
    def run():
        with attribute_to_signal():
            signal.raise_signal(signal.SIGTERM)
            shutdown.on_signal = lambda: None  # a training saves after its current batch, which is never complete
            raise RuntimeError(message)

    with pytest.raises(RuntimeError if message == "other" else Interrupted):
        run()


def test_the_end_of_a_worker_without_a_signal_is_an_error():
    with pytest.raises(RuntimeError), attribute_to_signal():
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed")
