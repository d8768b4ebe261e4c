"""Images of samples in gray and in color, and the epochs in which they are drawn."""

import io
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim import SGD

from trainer.callbacks.samples import Samples, tile_images
from trainer.core.spec import DataSpec
from trainer.data.digits import Digits
from trainer.model.gan import GAN
from trainer.model.linear import Linear
from trainer.task.adversarial import Adversarial
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised


def images(*shape, value_range=None):
    return DataSpec("pictures", "image", shape, "classification", 10, value_range=value_range)


def pixel(sheet, column, row):
    """Return the center of a tile of 56 pixels."""
    return tuple(np.asarray(sheet)[2 + row * 58 + 28, 2 + column * 58 + 28].tolist())


def test_gray_images_are_scaled_to_the_value_range():
    brightness = torch.tensor([-1.0, 0.0, 3.0, 99.0, -99.0])  # the last two are outside the range
    samples = brightness.view(5, 1, 1, 1).expand(5, 1, 28, 28)
    sheet = tile_images(samples, images(1, 28, 28, value_range=(-1.0, 3.0)), columns=2)
    assert sheet.size == (2 + 2 * 58, 2 + 3 * 58)
    values = [pixel(sheet, index % 2, index // 2) for index in range(6)]
    assert values == [(0,) * 3, (64,) * 3, (255,) * 3, (255,) * 3, (0,) * 3, (255,) * 3]  # and an empty tile


def test_color_channels_are_red_green_and_blue():
    samples = torch.tensor([1.0, 0.0, 0.2]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    assert pixel(tile_images(samples, images(3, 8, 8, value_range=(0.0, 1.0)), columns=1), 0, 0) == (255, 0, 51)


def test_without_a_value_range_that_of_the_images_is_used():
    samples = torch.stack([torch.full((1, 8, 8), value) for value in (10.0, 20.0, 15.0)])
    sheet = tile_images(samples, images(1, 8, 8), columns=3)
    assert [pixel(sheet, column, 0)[0] for column in range(3)] == [0, 255, 128]


def fit(tmp_path, callback, make, *, epochs=1):
    """Train for some steps; return the images by step, and the final weights."""
    data = Digits(val_size=30, test_size=50)
    torch.manual_seed(0)
    task = make(data.spec)
    logger = TensorBoardLogger(tmp_path, name="", version=f"board{len(list(tmp_path.iterdir()))}")
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(
        max_epochs=epochs,
        limit_train_batches=2,
        accelerator="cpu",
        logger=logger,
        callbacks=callback,
        log_every_n_steps=1,
        **quiet,
    )
    trainer.fit(task, data)
    logger.experiment.flush()
    board = EventAccumulator(logger.log_dir, size_guidance={"images": 0})
    board.Reload()
    events = board.Images("samples") if "samples" in board.Tags()["images"] else []
    images_by_step = {event.step: np.asarray(Image.open(io.BytesIO(event.encoded_image_string))) for event in events}
    return images_by_step, [p.detach().clone() for p in task.parameters()]


def gan(spec):
    net = GAN(spec, generator=[8], discriminator=[8], batch_norm=True)
    return Adversarial(net, make_objective(spec), partial(SGD, lr=0.1), constant)


@pytest.mark.parametrize(("every", "steps"), [(1, [2, 4, 6, 8, 10]), (2, [4, 8, 10]), (9, [10])])
def test_samples_are_drawn_every_n_epochs_and_in_the_last(every, steps, tmp_path):
    events, _ = fit(tmp_path, Samples(images=6, columns=3, every_n_epochs=every), gan, epochs=5)
    assert list(events) == steps
    assert {picture.shape for picture in events.values()} == {(2 + 2 * 58, 2 + 3 * 58, 3)}


def test_samples_are_reproducible_and_have_no_effect_on_the_training(tmp_path):
    (first, weights), (second, _), (none, expected) = (
        fit(tmp_path, callback, gan, epochs=2) for callback in (Samples(), Samples(), None)
    )
    assert all((first[step] == second[step]).all() for step in first)
    assert not (first[2] == first[4]).all()
    assert none == {}
    assert all(torch.equal(a, b) for a, b in zip(weights, expected, strict=True))


def test_a_network_without_samples_gets_no_image(tmp_path):
    def linear(spec):
        return Supervised(Linear(spec), make_objective(spec), partial(SGD, lr=0.1), constant)

    assert fit(tmp_path, Samples(), linear)[0] == {}
