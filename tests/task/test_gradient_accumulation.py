"""Gradients of steps with several batches, also at the end of an epoch."""

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader, IterableDataset

from trainer.callbacks.fast_loop import FastLoop
from trainer.task.gradient_accumulation import install_loss_scaling

QUIET = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
BATCHES = [1.0, 2.0, 3.0, 5.0, 8.0]


class WeightTimesBatch(LightningModule):
    """Task with one weight; the loss is its product with the batch, so the gradient is the batch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.gradients = []

    def training_step(self, batch, batch_idx):
        return self.weight * batch

    def on_before_optimizer_step(self, optimizer):
        self.gradients.append(self.weight.grad.item())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


class Stream(IterableDataset):
    """Data without a length."""

    def __iter__(self):
        return iter(BATCHES)


class GrowingAccumulation(Callback):
    """Accumulates extra batches in the second epoch, like Lightning's `GradientAccumulationScheduler`."""

    def on_train_epoch_start(self, trainer, task):
        trainer.accumulate_grad_batches = 2 + trainer.current_epoch


def gradients(data, *callbacks, **settings):
    task = WeightTimesBatch()
    trainer = Trainer(accelerator="cpu", callbacks=[*callbacks], **{"max_epochs": 1, **QUIET, **settings})
    install_loss_scaling(trainer)
    trainer.fit(task, DataLoader(data, batch_size=None))
    return task.gradients


@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
@pytest.mark.parametrize("callbacks", [[FastLoop()], []], ids=["fast loop", "lightning"])
@pytest.mark.parametrize("data", [BATCHES, Stream()], ids=["known length", "unknown length"])
class TestLoops:
    """Tests of the fast loop and Lightning's, with a known and an unknown number of batches."""

    def test_the_last_step_of_an_epoch_is_the_mean_over_its_batches(self, callbacks, data):
        # (1 + 2 + 3) / 3, (5 + 8) / 2
        assert gradients(data, *callbacks, accumulate_grad_batches=3) == [2.0, 6.5]

    def test_a_last_step_of_one_batch_is_that_batch(self, callbacks, data):
        # (1 + 2) / 2, (3 + 5) / 2, 8
        assert gradients(data, *callbacks, accumulate_grad_batches=2) == [1.5, 4.0, 8.0]

    def test_an_epoch_shorter_than_a_step_is_one_step(self, callbacks, data):
        assert gradients(data, *callbacks, accumulate_grad_batches=9) == [pytest.approx(19 / 5)]

    def test_the_count_restarts_in_each_epoch(self, callbacks, data):
        steps = gradients(data, *callbacks, accumulate_grad_batches=3, max_epochs=2)
        assert steps == [2.0, 6.5, 2.0, 6.5]

    def test_the_number_of_batches_may_be_limited(self, callbacks, data):
        steps = gradients(data, *callbacks, accumulate_grad_batches=3, limit_train_batches=4)
        assert steps == [2.0, 5.0]

    def test_the_number_may_change_from_epoch_to_epoch(self, callbacks, data):
        steps = gradients(data, *callbacks, GrowingAccumulation(), accumulate_grad_batches=1, max_epochs=2)
        assert steps == [1.5, 4.0, 8.0, 2.0, 6.5]


USERS = '''
from trainer.task.supervised import Supervised


class Count(Supervised):
    """Task in which the gradient of each weight is the number of the batch, from 1."""

    def on_train_start(self):
        self.initial = self.net.layer.weight.detach().clone()

    def training_step(self, batch, batch_idx):
        return self.net.layer.weight.sum() * (batch_idx + 1)

    def on_train_end(self):
        change = self.initial - self.net.layer.weight
        print("moved by", round(change.min().item(), 4), round(change.max().item(), 4))
'''


@pytest.mark.parametrize("extra", [[], ["~callbacks.fast_loop"]])
def test_both_loops_use_the_mean_over_batches(extra, command, tmp_path):
    (tmp_path / "users.py").write_text(USERS)
    overrides = ("data=digits", "model=linear", "model._target_=users.Count", "optimizer=sgd", "optimizer.lr=1.0")
    overrides += ("trainer.accumulate_grad_batches=3", "+trainer.limit_train_batches=5", "trainer.max_epochs=1")
    outcome = command(*overrides, *extra)
    assert outcome.code == 0, outcome.err
    assert "moved by 6.5 6.5\n" in outcome.out  # (1 + 2 + 3) / 3 + (4 + 5) / 2


@pytest.mark.slow
@pytest.mark.parametrize("batches", [1, 2])
def test_adversarial_training_uses_the_mean_over_batches(batches, command):
    overrides = ("data=digits", "model=gan", "model.net.generator=[8]", "model.net.discriminator=[8]", "test=false")
    overrides += (
        "optimizer=sgd",
        f"+trainer.limit_train_batches={batches}",
        "trainer.max_epochs=1",
        "callbacks=[checkpoint]",
    )
    states = []
    for accumulated in (batches, 3):
        outcome = command(*overrides, f"trainer.accumulate_grad_batches={accumulated}", f"hydra.run.dir={accumulated}")
        assert outcome.code == 0, outcome.err
        states.append(torch.load(f"{accumulated}/checkpoints/last.ckpt", weights_only=True)["state_dict"])
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
