"""Steps of several batches: gradients are means over the batches that there are, also at the end of an epoch."""

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader, IterableDataset

from trainer.callbacks.fast_loop import LeanSteps
from trainer.task.gradient_accumulation import divide_by_batches

QUIET = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
BATCHES = [1.0, 2.0, 3.0, 5.0, 8.0]


class Times(LightningModule):
    """One weight, and its product with the batch for a loss: the gradient is the batch."""

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
    """Has no length."""

    def __iter__(self):
        return iter(BATCHES)


class InTurn(Callback):
    """Accumulates more batches in the second epoch, as Lightning's scheduler does it."""

    def on_train_epoch_start(self, trainer, task):
        trainer.accumulate_grad_batches = 2 + trainer.current_epoch


def gradients(data, *callbacks, **settings):
    task = Times()
    trainer = Trainer(accelerator="cpu", callbacks=[*callbacks], **{"max_epochs": 1, **QUIET, **settings})
    divide_by_batches(trainer)
    trainer.fit(task, DataLoader(data, batch_size=None))
    return task.gradients


@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
@pytest.mark.parametrize("callbacks", [[LeanSteps()], []], ids=["lean", "lightning"])
@pytest.mark.parametrize("data", [BATCHES, Stream()], ids=["length known", "length not known"])
class TestLoops:
    """The fast loop and Lightning's, with a number of batches that is known and one that is not."""

    def test_the_last_step_of_an_epoch_is_the_mean_over_its_batches(self, callbacks, data):
        # (1 + 2 + 3) / 3, (5 + 8) / 2
        assert gradients(data, *callbacks, accumulate_grad_batches=3) == [2.0, 6.5]

    def test_a_last_step_of_one_batch_is_that_batch(self, callbacks, data):
        # (1 + 2) / 2, (3 + 5) / 2, 8
        assert gradients(data, *callbacks, accumulate_grad_batches=2) == [1.5, 4.0, 8.0]

    def test_an_epoch_shorter_than_a_step_is_one_step(self, callbacks, data):
        assert gradients(data, *callbacks, accumulate_grad_batches=9) == [pytest.approx(19 / 5)]

    def test_each_epoch_is_counted_anew(self, callbacks, data):
        both = gradients(data, *callbacks, accumulate_grad_batches=3, max_epochs=2)
        assert both == [2.0, 6.5, 2.0, 6.5]

    def test_fewer_batches_may_be_taken_than_there_are(self, callbacks, data):
        found = gradients(data, *callbacks, accumulate_grad_batches=3, limit_train_batches=4)
        assert found == [2.0, 5.0]

    def test_the_number_may_change_from_epoch_to_epoch(self, callbacks, data):
        found = gradients(data, *callbacks, InTurn(), accumulate_grad_batches=1, max_epochs=2)
        assert found == [1.5, 4.0, 8.0, 2.0, 6.5]


USERS = '''
from trainer.task.supervised import Supervised


class Count(Supervised):
    """The gradient of each weight is the number of the batch, from 1."""

    def on_train_start(self):
        self.before = self.net.layer.weight.detach().clone()

    def training_step(self, batch, batch_idx):
        return self.net.layer.weight.sum() * (batch_idx + 1)

    def on_train_end(self):
        moved = self.before - self.net.layer.weight
        print("moved by", round(moved.min().item(), 4), round(moved.max().item(), 4))
'''


@pytest.mark.parametrize("more", [[], ["~callbacks.lean_steps"]])
def test_a_run_takes_the_mean_with_either_loop(more, command, tmp_path):
    (tmp_path / "users.py").write_text(USERS)
    words = ("data=digits", "model=linear", "model.task._target_=users.Count", "optimizer=sgd", "optimizer.lr=1.0")
    words += ("trainer.accumulate_grad_batches=3", "+trainer.limit_train_batches=5", "trainer.max_epochs=1")
    done = command(*words, *more)
    assert done.code == 0, done.err
    assert "moved by 6.5 6.5\n" in done.out  # (1 + 2 + 3) / 3 + (4 + 5) / 2


@pytest.mark.parametrize("batches", [1, 2])
def test_two_networks_that_learn_by_turns_take_the_mean_too(batches, command):
    words = ("data=digits", "model=gan", "model.net.generator=[8]", "model.net.discriminator=[8]", "test=false")
    words += (
        "optimizer=sgd",
        f"+trainer.limit_train_batches={batches}",
        "trainer.max_epochs=1",
        "callbacks=[checkpoint]",
    )
    left = []
    for accumulated in (batches, 3):
        done = command(*words, f"trainer.accumulate_grad_batches={accumulated}", f"hydra.run.dir={accumulated}")
        assert done.code == 0, done.err
        left.append(torch.load(f"{accumulated}/checkpoints/last.ckpt", weights_only=True)["state_dict"])
    assert all(torch.equal(value, left[1][name]) for name, value in left[0].items())
