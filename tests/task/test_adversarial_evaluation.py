"""Adversarial: what it logs, evaluation that disturbs nothing, noise that comes again, other precisions."""

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
from trainer.task.objective import objective_for
from trainer.task.schedulers import constant

BY_A_TENTH = partial(SGD, lr=0.1)


class Grey(TensorData):
    """Images of 2x2 pixels, all alike: 14 to train on, 3 for validation and test."""

    spec = DataSpec("grey", "image", (1, 2, 2), "classes", 2, class_names=("a", "b"), value_range=(0.0, 1.0))

    def load(self):
        few, many = (Split(torch.full((n, 1, 2, 2), 0.8), torch.zeros(n, dtype=torch.long)) for n in (3, 14))
        return {"train": many, "val": few, "test": few}


def lightning(epochs=1, **settings):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return pl.Trainer(max_epochs=epochs, accelerator="cpu", devices=1, log_every_n_steps=1, **quiet | settings)


def adversarial(data):
    torch.manual_seed(0)
    net = GAN(data.spec, latent=3, generator=[8], discriminator=[8])
    return Adversarial(net, objective_for(data.spec), BY_A_TENTH, constant)


def numbers(trainer):
    return {name: value.item() for name, value in trainer.callback_metrics.items()}


def weights(task):
    return [p.detach().clone() for p in task.net.parameters()]


def test_evaluation_is_the_same_each_time_and_disturbs_no_training():
    ends, seen = [], []
    for evaluate in (0, 1.0):
        data, trainer = Grey(batch_size=4), lightning(2, limit_val_batches=evaluate)
        task = adversarial(data)
        trainer.fit(task, data)
        ends.append(weights(task))
        for seed in (1, 2):
            torch.manual_seed(seed)
            trainer.validate(task, data, verbose=False) if evaluate else None
            seen.append(numbers(trainer).get("val/generator_loss"))
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
    assert seen[2] == seen[3] is not None


def test_noise_differs_from_batch_to_batch_and_from_seed_to_seed_and_comes_again():
    data = Grey(batch_size=4)
    like, first, again = torch.zeros(1), adversarial(data), adversarial(data)
    lightning().fit(first, data)
    lightning().fit(again, data)
    torch.manual_seed(1)
    other = Adversarial(first.net, objective_for(data.spec), BY_A_TENTH, constant)
    lightning().fit(other, data)
    places = [(0, 0, 0), (0, 0, 1), (0, 0, 0, 1), (0, 1, 0)]
    drawn = [first._noise(like, 2, *place) for place in places] + [other._noise(like, 2, *places[0])]
    assert len({tuple(noise.flatten().tolist()) for noise in drawn}) == 5
    assert torch.equal(drawn[0], again._noise(like, 2, *places[0]))
    # what is evaluated does not depend on the seed
    assert torch.equal(first._noise(like, 2, 1, 0), other._noise(like, 2, 1, 0))


def test_early_stopping_can_wait_for_its_losses():
    data = Grey(batch_size=14)
    stop = EarlyStopping("val/generator_loss", mode="max", min_delta=100.0, patience=2)
    trainer = lightning(9, callbacks=[stop])
    trainer.fit(adversarial(data), data)
    assert trainer.current_epoch == 3


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_other_precisions_train_too(precision):
    data, trainer = Grey(batch_size=7), lightning(2, precision=precision)
    task = adversarial(data)
    before = weights(task)
    trainer.fit(task, data)
    assert all(math.isfinite(value) for value in numbers(trainer).values())
    assert not any(torch.equal(a, b) for a, b in zip(before, weights(task), strict=True))


def test_what_is_logged_is_what_is_said_to_be():
    data, trainer = Grey(batch_size=4), lightning()
    task = adversarial(data)
    trainer.fit(task, data)
    logged = set(numbers(trainer))
    trainer.test(task, data, verbose=False)
    assert logged | set(numbers(trainer)) == set(task.logged)
