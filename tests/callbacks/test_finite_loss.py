"""Runs that stop at a nonfinite loss, or skip its step."""

import json

import pytest
import torch

TINY = ["data=digits", "model=mlp", "model.net.hidden=[4]", "trainer.max_epochs=3", "model._target_=users.Bad"]
USERS = '''
import torch
from pytorch_lightning import LightningModule
from torch.nn.functional import cross_entropy

from trainer.task.supervised import Supervised


class Bad(Supervised):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss * float("nan") if self.trainer.fit_loop.total_batch_idx == 26 else loss


class Manual(LightningModule):
    """Task with manual optimization and another name of the loss; `by_hand` calls `backward` itself."""

    by_hand = False

    def __init__(self, net, *_):
        super().__init__()
        self.net, self.automatic_optimization = net, False

    def training_step(self, batch, batch_idx):
        inputs, targets = batch
        loss = cross_entropy(self.net(inputs), targets)
        self.log("objective", loss)
        if self._trainer and self.trainer.fit_loop.total_batch_idx == 26:
            loss = loss * float("nan")
        optimizer = self.optimizers()
        optimizer.zero_grad()
        loss.backward() if self.by_hand else self.manual_backward(loss)
        optimizer.step()

    def validation_step(self, batch, batch_idx):
        inputs, targets = batch
        self.log("val/loss", cross_entropy(self.net(inputs), targets))

    test_step = validation_step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


class ByHand(Manual):
    by_hand = True


class LastStep(Supervised):
    """Task with finite losses and a nonfinite gradient in the last step."""

    def on_after_backward(self):
        if self.trainer.fit_loop.total_batch_idx == self.trainer.num_training_batches - 1:
            self.net.layers[0].weight.grad.fill_(float("nan"))


class Boxed(Bad):
    def training_step(self, batch, batch_idx):
        return super().training_step(batch, batch_idx).reshape(1, 1)
'''


@pytest.fixture
def bad(command, tmp_path):
    (tmp_path / "users.py").write_text(USERS)
    return lambda *overrides: command(*TINY, *overrides, "hydra.run.dir=run")


@pytest.mark.slow
@pytest.mark.parametrize("extra", [[], ["~callbacks.fast_loop"], ["callbacks.finite_loss.every_n_steps=1"]])
def test_a_nonfinite_loss_stops_the_run_and_names_step_and_examples(extra, bad, tmp_path):
    outcome = bad(*extra)
    assert outcome.code == 1
    assert "error: the loss is nan at step 27: epoch 2, batch 7, examples " in outcome.err
    assert "the last good checkpoint is" in outcome.err
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 20
    assert all(value.isfinite().all() for value in last["state_dict"].values())
    assert json.loads((tmp_path / "run/result.json").read_text())["state"] == "failed"


def test_a_loss_with_one_element_may_have_any_shape(bad):
    outcome = bad("model._target_=users.Boxed")
    assert outcome.code == 1
    assert "error: the loss is nan at step 27: epoch 2, batch 7, examples " in outcome.err


@pytest.mark.slow
@pytest.mark.parametrize("extra", [[], ["~callbacks.fast_loop"]])
def test_losses_of_manual_optimization_are_checked_under_any_name(extra, bad, tmp_path):
    outcome = bad("model._target_=users.Manual", *extra)
    assert outcome.code == 1
    assert "error: the loss is nan at step 27: epoch 2, batch 7, examples " in outcome.err


@pytest.mark.parametrize("extra", [[], ["~callbacks.fast_loop"]])
def test_weights_are_checked_if_a_task_calls_backward_itself(extra, bad, tmp_path):
    outcome = bad("model._target_=users.ByHand", *extra)
    assert outcome.code == 1
    assert "error: 'net.layers.0.weight' is not finite after step 40\n" in outcome.err
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 20
    assert all(value.isfinite().all() for value in last["state_dict"].values())


@pytest.mark.parametrize("task", ["Manual", "ByHand"])
def test_a_step_of_manual_optimization_can_be_skipped(task, bad, tmp_path):
    outcome = bad(f"model._target_=users.{task}", "callbacks.finite_loss.on_nonfinite=skip")
    assert outcome.code == 0, outcome.err
    assert "skipped 1 step(s) with a loss that is not finite" in outcome.out
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert all(value.isfinite().all() for value in last["state_dict"].values())


@pytest.mark.parametrize("extra", [[], ["~callbacks.checkpoint"]])
def test_nonfinite_weights_after_the_last_step_fail_the_run(extra, bad, tmp_path):
    outcome = bad("model._target_=users.LastStep", "trainer.max_epochs=1", *extra)
    assert outcome.code == 1
    assert "error: 'net.layers.0.weight' is not finite after step 20\n" in outcome.err
    assert not [*(tmp_path / "run").rglob("*.ckpt")]


def test_the_message_lists_the_examples_of_the_batch(bad, tmp_path):
    from trainer.data.digits import Digits

    message = bad().err
    data = Digits(batch_size=64, seed=1)
    data.setup("fit")
    loader = data.train_dataloader()
    loader.epoch = 1
    first = loader.batch_indices(6)[:3].tolist()
    assert f"examples {first[0]}, {first[1]}, {first[2]}, " in message


def test_a_step_with_a_nonfinite_loss_can_be_skipped(bad, tmp_path):
    outcome = bad("callbacks.finite_loss.on_nonfinite=skip")
    assert outcome.code == 0, outcome.err
    assert "skipped: the loss is not finite at step 27: epoch 2, batch 7" in outcome.out
    assert "skipped 1 step(s) with a loss that is not finite" in outcome.out
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == 60
    assert all(value.isfinite().all() for value in last["state_dict"].values())


def test_a_loss_that_diverges_between_two_logged_steps_stops_the_run(command):
    overrides = ["data=line", "model=linear", "optimizer=sgd", "optimizer.lr=50", "trainer.max_epochs=300"]
    plain = command(*overrides)
    assert plain.code == 1
    assert "the loss is" in plain.err
