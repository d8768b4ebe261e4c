"""Evaluation, noise, metrics and precisions of make_task training."""

import math
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch.optim import SGD

from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.split import Split
from trainer.model.gan import GAN
from trainer.task.adversarial import Adversarial
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant

SGD_TENTH = partial(SGD, lr=0.1)


class GrayImages(TensorData):
    """Equal images of 2x2 pixels: 14 for training, 3 for validation and test."""

    spec = DataSpec("gray", "image", (1, 2, 2), "classification", 2, class_names=("a", "b"), value_range=(0.0, 1.0))

    def load(self):
        small, large = (Split(torch.full((n, 1, 2, 2), 0.8), torch.zeros(n, dtype=torch.long)) for n in (3, 14))
        return {"train": large, "val": small, "test": small}


def make_trainer(epochs=1, **settings):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return pl.Trainer(max_epochs=epochs, accelerator="cpu", devices=1, log_every_n_steps=1, **quiet | settings)


def make_task(data):
    torch.manual_seed(0)
    net = GAN(data.spec, latent=3, generator=[8], discriminator=[8])
    return Adversarial(net, make_objective(data.spec), SGD_TENTH, constant)


def get_metrics(trainer):
    return {name: value.item() for name, value in trainer.callback_metrics.items()}


def get_weights(task):
    return [p.detach().clone() for p in task.net.parameters()]


def test_evaluation_is_reproducible_and_has_no_effect_on_the_training():
    ends, losses = [], []
    for evaluate in (0, 1.0):
        data, trainer = GrayImages(batch_size=4), make_trainer(2, limit_val_batches=evaluate)
        task = make_task(data)
        trainer.fit(task, data)
        ends.append(get_weights(task))
        for seed in (1, 2):
            torch.manual_seed(seed)
            trainer.validate(task, data, verbose=False) if evaluate else None
            losses.append(get_metrics(trainer).get("val/generator_loss"))
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
    assert losses[2] == losses[3] is not None


def test_noise_depends_on_batch_and_seed_and_is_reproducible():
    data = GrayImages(batch_size=4)
    inputs, first, second = torch.zeros(2), make_task(data), make_task(data)
    make_trainer().fit(first, data)
    make_trainer().fit(second, data)
    torch.manual_seed(1)
    other = Adversarial(first.net, make_objective(data.spec), SGD_TENTH, constant)
    make_trainer().fit(other, data)
    keys = [(0, 0, 0), (0, 0, 1), (0, 0, 0, 1), (0, 1, 0)]
    noises = [first._sample_noise(inputs, *key) for key in keys] + [other._sample_noise(inputs, *keys[0])]
    assert len({tuple(noise.flatten().tolist()) for noise in noises}) == 5
    assert torch.equal(noises[0], second._sample_noise(inputs, *keys[0]))
    # evaluation noise does not depend on the seed
    assert torch.equal(first._sample_noise(inputs, 1, 0), other._sample_noise(inputs, 1, 0))


def test_early_stopping_can_monitor_its_losses():
    data = GrayImages(batch_size=14)
    stop = EarlyStopping("val/generator_loss", mode="max", min_delta=100.0, patience=2)
    trainer = make_trainer(9, callbacks=[stop])
    trainer.fit(make_task(data), data)
    assert trainer.current_epoch == 3


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_other_precisions_are_supported(precision):
    data, trainer = GrayImages(batch_size=7), make_trainer(2, precision=precision)
    task = make_task(data)
    initial = get_weights(task)
    trainer.fit(task, data)
    assert all(math.isfinite(value) for value in get_metrics(trainer).values())
    assert not any(torch.equal(a, b) for a, b in zip(initial, get_weights(task), strict=True))


def test_logged_metrics_returns_the_names_that_are_logged():
    data, trainer = GrayImages(batch_size=4), make_trainer()
    task = make_task(data)
    trainer.fit(task, data)
    logged = set(get_metrics(trainer))
    trainer.test(task, data, verbose=False)
    assert logged | set(get_metrics(trainer)) == set(task.logged_metrics)
