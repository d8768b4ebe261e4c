"""Samples: what a generative network makes of the same noise, through the training, in TensorBoard."""

from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Generator, Tensor

from trainer.callbacks.plots.tensorboard import show
from trainer.core.spec import DataSpec

SIDE, GAP = 56, 2  # pixels: least height of an image, space around it


@runtime_checkable
class Generative(Protocol):
    """A network that makes new inputs: `trainer.model.gan`, or one of your own."""

    spec: DataSpec

    def sample(self, count: int, random: Generator) -> Tensor:
        """New inputs (count, *spec.shape), the same ones for the same state of `random`."""
        ...


class SamplePictures(Callback):
    """Draw new images as `samples`; be silent for networks that make none.

    Args:
        images: How many.
        columns: Images in a row.
        every_epochs: They are drawn in each epoch that this number divides, and in the last of `max_epochs`.
        seed: Of the noise; the same in each picture, so that one sees the images become better.
    """

    affects_training = False

    def __init__(self, *, images: int = 64, columns: int = 8, every_epochs: int = 1, seed: int = 1) -> None:
        self.images, self.columns, self.every_epochs, self.seed = images, columns, every_epochs, seed
        self._draws = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        net = getattr(pl_module, "net", None)
        self._draws = isinstance(net, Generative) and net.spec.kind == "image"

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if self._draws and (epoch % self.every_epochs == 0 or epoch == trainer.max_epochs):
            net = pl_module.net
            assert isinstance(net, Generative)
            show(lambda: tiles(drawn(net, self.images, self.seed), net.spec, self.columns), "samples", trainer)


def drawn(net: Generative, count: int, seed: int) -> Tensor:
    """New inputs (count, *spec.shape), on the CPU; nothing else in a run is disturbed by it."""
    return net.sample(count, Generator().manual_seed(seed)).cpu()


def tiles(images: Tensor, spec: DataSpec, columns: int) -> Image.Image:
    """Images in rows, grey or in colour.

    Args:
        images: (count, channels, height, width).
        spec: Gives the least and the greatest brightness; without it, those found in the images are taken.
        columns: Images in a row.
    """
    count, channels, height, width = images.shape
    low, high = spec.value_range or (images.min().item(), images.max().item())
    shown = images[:, :3] if channels >= 3 else images[:, :1].expand(-1, 3, -1, -1)
    numbers = ((shown.float() - low) / max(high - low, 1e-9)).clamp(0, 1) * 255
    pixels: np.ndarray = numbers.round().byte().permute(0, 2, 3, 1).numpy()  # (count, height, width, 3)
    times = -(-SIDE // height)
    tall, wide = height * times + GAP, width * times + GAP
    sheet = Image.new("RGB", (columns * wide + GAP, -(-count // columns) * tall + GAP), (255, 255, 255))
    for place, image in enumerate(pixels):
        tile = Image.fromarray(image).resize((width * times, height * times), Image.Resampling.NEAREST)
        sheet.paste(tile, (GAP + place % columns * wide, GAP + place // columns * tall))
    return sheet
