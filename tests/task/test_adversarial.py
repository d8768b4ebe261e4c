"""Losses and steps of make_task training against values computed by hand, and schedules, accumulation and clipping."""

import math
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import StepLR

from trainer.callbacks.gradient_clipping import GradientClipping
from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.split import Split
from trainer.model.gan import GAN
from trainer.task.adversarial import Adversarial, discriminator_loss, generator_loss
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant, cosine, warmup

SGD_TENTH = partial(SGD, lr=0.1)


class GrayImages(TensorData):
    """Equal images of 2x2 pixels: 14 for training, 3 for validation and test."""

    spec = DataSpec("gray", "image", (1, 2, 2), "classification", 2, class_names=("a", "b"), value_range=(0.0, 1.0))

    def load(self):
        small, large = (Split(torch.full((n, 1, 2, 2), 0.8), torch.zeros(n, dtype=torch.long)) for n in (3, 14))
        return {"train": large, "val": small, "test": small}


class LinearPair(nn.Module):
    """Networks with one weight each: the generator returns g z, the discriminator d x."""

    def __init__(self, g, d):
        super().__init__()
        self.latent, self.updates = 1, 0
        self.generator, self.discriminator = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.generator.weight, g)
        nn.init.constant_(self.discriminator.weight, d)

    def generate(self, noise, targets):
        return self.generator(noise)

    def discriminate(self, inputs, targets):
        return self.discriminator(inputs)

    def update_average(self):
        self.updates += 1

    @property
    def weights(self):
        return self.generator.weight.item(), self.discriminator.weight.item()


class Line(TensorData):
    """Four get_metrics for training, two for validation and test."""

    spec = DataSpec("numbers", "vector", (1,), "regression", 1)

    def load(self):
        small, large = (
            Split(torch.tensor(x)[:, None], torch.zeros(len(x), 1)) for x in ([2.0, 1.0], [2.0, 2.0, 2.0, 2.0])
        )
        return {"train": large, "val": small, "test": small}


class Rates(pl.Callback):
    """Records the learning rates at the start of each batch."""

    def __init__(self):
        self.recorded = []

    def on_train_batch_start(self, trainer, *_):
        self.recorded.append([optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers])


def make_trainer(epochs=1, **settings):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return pl.Trainer(max_epochs=epochs, accelerator="cpu", devices=1, log_every_n_steps=1, **quiet | settings)


def make_task(data, net=None, optimizer=SGD_TENTH, scheduler=constant, **settings):
    torch.manual_seed(0)
    net = net or GAN(data.spec, latent=3, generator=[8], discriminator=[8])
    return Adversarial(net, make_objective(data.spec), optimizer, scheduler, **settings)


def get_metrics(trainer):
    return {name: value.item() for name, value in trainer.callback_metrics.items()}


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_losses_equal_values_computed_by_hand():
    real, fake = torch.tensor([[0.0], [math.log(3)]]), torch.tensor([[0.0], [-math.log(4)]])
    # probabilities of being real: 1/2 and 3/4; 1/2 and 1/5
    expected = -(math.log(1 / 2) + math.log(3 / 4)) / 2 - (math.log(1 / 2) + math.log(4 / 5)) / 2
    assert discriminator_loss(real, fake).item() == pytest.approx(expected, rel=1e-5)
    assert generator_loss(fake).item() == pytest.approx(-(math.log(1 / 2) + math.log(1 / 5)) / 2, rel=1e-5)


def test_label_smoothing_only_affects_real_inputs():
    smooth = discriminator_loss(torch.tensor([[math.log(9)]]), torch.tensor([[0.0]]), 0.9).item()
    assert smooth == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1) - math.log(1 / 2), rel=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_each_batch_is_a_step_of_the_discriminator_followed_by_one_of_the_generator(steps, monkeypatch):
    data, net = Line(batch_size=4), LinearPair(g=0.5, d=0.3)
    task, trainer = make_task(data, net), make_trainer(steps, limit_val_batches=0)
    monkeypatch.setattr(task, "_sample_noise", lambda inputs, *key: torch.full((len(inputs), 1), 3.0))
    trainer.fit(task, data)
    g, d = 0.5, 0.3
    for _ in range(steps):  # D on x = 2 and on 3 g; then G with the new D
        previous = g, d
        d += 0.1 * (2 * sigmoid(-2 * d) - 3 * g * sigmoid(3 * g * d))
        g += 0.1 * d * 3 * sigmoid(-3 * g * d)
    assert net.weights == pytest.approx((g, d), rel=1e-5)
    assert net.updates == steps
    old_g, old_d = previous
    assert get_metrics(trainer) == pytest.approx(
        {
            "train/discriminator_loss": -math.log(sigmoid(2 * old_d)) - math.log(sigmoid(-3 * old_g * old_d)),
            "train/generator_loss": -math.log(sigmoid(3 * old_g * d)),
            "train/real": sigmoid(2 * old_d),
            "train/fake": sigmoid(3 * old_g * old_d),
        },
        rel=1e-5,
    )


def test_the_generator_learns_the_data():
    data = GrayImages(batch_size=14)
    net = GAN(data.spec, latent=3, generator=[8], discriminator=[8], ema_decay=0.98)  # both oscillate
    task = make_task(data, net, partial(Adam, lr=0.01, betas=(0.5, 0.999)))
    initial = task.net.sample(100, torch.Generator().manual_seed(0))
    make_trainer(300, limit_val_batches=0).fit(task, data)
    final = task.net.sample(100, torch.Generator().manual_seed(0))
    assert (initial - 0.8).abs().mean() > 0.2
    assert (final - 0.8).abs().mean() < 0.1


@pytest.mark.parametrize(("accumulate", "steps"), [(1, 8), (2, 4), (3, 4), (9, 2)])  # 4 batches in each of 2 epochs
def test_steps_are_counted_by_the_generator(accumulate, steps):
    totals = []

    def schedule(optimizer, total_steps):
        totals.append(total_steps)
        return cosine(optimizer, total_steps)

    data, trainer = GrayImages(batch_size=4), make_trainer(2, accumulate_grad_batches=accumulate)
    task = make_task(data, scheduler=schedule)
    trainer.fit(task, data)
    assert trainer.global_step == steps
    assert totals == [steps, steps]
    assert [schedule.last_epoch for schedule in task.lr_schedulers()] == [steps, steps]
    assert trainer.accumulate_grad_batches == accumulate


def test_max_steps_counts_generator_steps():
    data, trainer = GrayImages(batch_size=4), make_trainer(-1, max_steps=6)
    task = make_task(data, scheduler=partial(warmup, warmup_steps=2))
    trainer.fit(task, data)
    assert trainer.global_step == 6
    assert task.lr_schedulers()[0].last_epoch == 6


def test_accumulation_gives_the_gradients_of_one_large_batch(monkeypatch):
    weights = []
    for batch_size, accumulate in ((4, 1), (2, 2), (1, 4)):
        data, net = Line(batch_size=batch_size), LinearPair(g=0.5, d=0.3)
        task = make_task(data, net)
        monkeypatch.setattr(task, "_sample_noise", lambda inputs, *key: torch.full((len(inputs), 1), 3.0))
        make_trainer(3, accumulate_grad_batches=accumulate, limit_val_batches=0).fit(task, data)
        weights.append(net.weights)
    assert weights[1:] == [pytest.approx(weights[0], rel=1e-5)] * 2


def test_each_optimizer_has_a_schedule_with_its_own_interval():
    data, rates = GrayImages(batch_size=7), Rates()  # 2 steps per epoch
    task = make_task(
        data, scheduler=partial(StepLR, step_size=1, gamma=0.5), discriminator_optimizer=partial(SGD, lr=0.8)
    )
    trainer = make_trainer(3, callbacks=[rates])
    trainer.fit(task, data)
    assert rates.recorded == [[pytest.approx(0.1 * f), pytest.approx(0.8 * f)] for f in (1, 1, 0.5, 0.5, 0.25, 0.25)]
    assert [schedule.name for schedule in trainer.lr_scheduler_configs] == ["lr_generator", "lr_discriminator"]


def test_each_network_is_clipped_separately(monkeypatch):
    data, net = Line(batch_size=4), LinearPair(g=0.5, d=0.3)
    task, trainer = make_task(data, net), make_trainer(callbacks=[GradientClipping(value=0.01)], limit_val_batches=0)
    monkeypatch.setattr(task, "_sample_noise", lambda inputs, *key: torch.full((len(inputs), 1), 3.0))
    trainer.fit(task, data)
    assert net.weights == pytest.approx((0.501, 0.3 - 0.001), rel=1e-5)  # 0.1 times the limit
    gradient = 1.5 * sigmoid(0.45) - 2 * sigmoid(-0.6)
    assert get_metrics(trainer)["train/grad_norm_discriminator"] == pytest.approx(gradient, rel=1e-4)
    assert get_metrics(trainer)["train/grad_norm_generator"] == pytest.approx(
        0.299 * 3 * sigmoid(-0.299 * 1.5), rel=1e-4
    )


def test_losses_of_a_split_do_not_depend_on_the_batch_size(monkeypatch):
    data, net = Line(batch_size=4, eval_batch_size=1), LinearPair(g=0.5, d=0.3)
    task, trainer = make_task(data, net), make_trainer()
    monkeypatch.setattr(task, "_sample_noise", lambda inputs, *key: torch.full((len(inputs), 1), 3.0))
    trainer.validate(task, data, verbose=False)
    real = -(math.log(sigmoid(0.6)) + math.log(sigmoid(0.3))) / 2  # of 2 and 1
    assert get_metrics(trainer) == pytest.approx(
        {
            "val/discriminator_loss": real - math.log(sigmoid(-0.45)),
            "val/generator_loss": -math.log(sigmoid(0.45)),
            "val/real": (sigmoid(0.6) + sigmoid(0.3)) / 2,
            "val/fake": sigmoid(0.45),
        },
        rel=1e-5,
    )
