"""Samples: tiles in grey and in colour, when they are drawn, and silence for networks that make nothing."""

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

from trainer.callbacks.samples import SamplePictures, tiles
from trainer.core.spec import DataSpec
from trainer.data.digits import Digits
from trainer.model.gan import GAN
from trainer.model.linear import Linear
from trainer.task.adversarial import Adversarial
from trainer.task.objective import objective_for
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised


def images(*shape, value_range=None):
    return DataSpec("pictures", "image", shape, "classes", 10, value_range=value_range)


def pixel(sheet, column, row):
    """The middle of a tile of 56 pixels."""
    return tuple(np.asarray(sheet)[2 + row * 58 + 28, 2 + column * 58 + 28].tolist())


def test_grey_images_stand_in_rows_between_the_least_and_the_greatest_brightness():
    brightness = torch.tensor([-1.0, 0.0, 3.0, 99.0, -99.0])  # the last two lie outside the range
    made = brightness.view(5, 1, 1, 1).expand(5, 1, 28, 28)
    sheet = tiles(made, images(1, 28, 28, value_range=(-1.0, 3.0)), columns=2)
    assert sheet.size == (2 + 2 * 58, 2 + 3 * 58)
    grey = [pixel(sheet, place % 2, place // 2) for place in range(6)]
    assert grey == [(0,) * 3, (64,) * 3, (255,) * 3, (255,) * 3, (0,) * 3, (255,) * 3]  # and an empty place


def test_colours_are_red_green_and_blue():
    made = torch.tensor([1.0, 0.0, 0.2]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    assert pixel(tiles(made, images(3, 8, 8, value_range=(0.0, 1.0)), columns=1), 0, 0) == (255, 0, 51)


def test_without_a_range_the_brightness_found_is_taken():
    made = torch.stack([torch.full((1, 8, 8), value) for value in (10.0, 20.0, 15.0)])
    sheet = tiles(made, images(1, 8, 8), columns=3)
    assert [pixel(sheet, column, 0)[0] for column in range(3)] == [0, 255, 128]


def fit(tmp_path, callback, make, *, epochs=1):
    """Train a little; the pictures by their steps, and the weights at the end."""
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
    shown = board.Images("samples") if "samples" in board.Tags()["images"] else []
    decoded = {event.step: np.asarray(Image.open(io.BytesIO(event.encoded_image_string))) for event in shown}
    return decoded, [p.detach().clone() for p in task.parameters()]


def gan(spec):
    net = GAN(spec, generator=[8], discriminator=[8], batch_norm=True)
    return Adversarial(net, objective_for(spec), partial(SGD, lr=0.1), constant)


@pytest.mark.parametrize(("every", "steps"), [(1, [2, 4, 6, 8, 10]), (2, [4, 8, 10]), (9, [10])])
def test_samples_of_the_same_noise_are_drawn_every_so_many_epochs_and_in_the_last(every, steps, tmp_path):
    shown, _ = fit(tmp_path, SamplePictures(images=6, columns=3, every_epochs=every), gan, epochs=5)
    assert list(shown) == steps
    assert {picture.shape for picture in shown.values()} == {(2 + 2 * 58, 2 + 3 * 58, 3)}


def test_pictures_of_one_run_come_again_and_change_nothing(tmp_path):
    (first, plain), (again, _), (none, bare) = (
        fit(tmp_path, callback, gan, epochs=2) for callback in (SamplePictures(), SamplePictures(), None)
    )
    assert all((first[step] == again[step]).all() for step in first)
    assert not (first[2] == first[4]).all()
    assert none == {}
    assert all(torch.equal(a, b) for a, b in zip(plain, bare, strict=True))


def test_a_network_that_makes_nothing_gets_no_picture(tmp_path):
    def linear(spec):
        return Supervised(Linear(spec), objective_for(spec), partial(SGD, lr=0.1), constant)

    assert fit(tmp_path, SamplePictures(), linear)[0] == {}
