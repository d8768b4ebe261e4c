"""Images generated from the same noise throughout the training, in TensorBoard."""

from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from torch import Generator, Tensor

from trainer.callbacks.plots.media import log_image
from trainer.callbacks.plots.style import WHITE
from trainer.core.callback import Callback
from trainer.core.spec import DataSpec

MIN_TILE_PIXELS = 56  # least height of an image
GAP_PIXELS = 2


@runtime_checkable
class SupportsSampling(Protocol):
    """A network that generates new inputs, e.g. `trainer.model.gan`."""

    spec: DataSpec

    def sample(self, count: int, random: Generator) -> Tensor:
        """Return new inputs (count, *spec.shape), which depend only on the weights and the state of `random`."""
        ...


class Samples(Callback):
    """Draw generated images as `samples`. Does nothing for networks that generate none.

    Args:
        images: Number of images.
        columns: Number of images in a row.
        every_n_epochs: Number of epochs between two drawings; the last of `max_epochs` is always drawn.
        seed: Seed of the noise, which is the same in each drawing.
    """

    affects_training = False

    def __init__(self, *, images: int = 64, columns: int = 8, every_n_epochs: int = 1, seed: int = 1) -> None:
        self.images = images
        self.columns = columns
        self.every_n_epochs = every_n_epochs
        self.seed = seed
        self._is_supported = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        net = getattr(pl_module, "net", None)
        self._is_supported = isinstance(net, SupportsSampling) and net.spec.kind == "image"

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if self._is_supported and (epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs):
            net = pl_module.net
            assert isinstance(net, SupportsSampling)

            def draw() -> Image.Image:
                return tile_images(generate_samples(net, self.images, self.seed), net.spec, self.columns)

            log_image(draw, "samples", trainer)


def generate_samples(net: SupportsSampling, count: int, seed: int) -> Tensor:
    """Return new inputs (count, *spec.shape) on the CPU; does not use the random state of the run."""
    return net.sample(count, Generator().manual_seed(seed)).cpu()


def tile_images(images: Tensor, spec: DataSpec, columns: int) -> Image.Image:
    """Return a grid of images, in gray or in color.

    Args:
        images: (count, channels, height, width).
        spec: Specification of the data set. Its value range is used, or the range of the images if it is None.
        columns: Number of images in a row.
    """
    count, channels, height, width = images.shape
    low, high = spec.value_range or (images.min().item(), images.max().item())
    rgb = images[:, :3] if channels >= 3 else images[:, :1].expand(-1, 3, -1, -1)
    scaled = ((rgb.float() - low) / max(high - low, 1e-9)).clamp(0, 1) * 255
    pixels: np.ndarray = scaled.round().byte().permute(0, 2, 3, 1).numpy()  # (count, height, width, 3)
    zoom = -(-MIN_TILE_PIXELS // height)
    step_x = width * zoom + GAP_PIXELS
    step_y = height * zoom + GAP_PIXELS
    grid = Image.new("RGB", (columns * step_x + GAP_PIXELS, -(-count // columns) * step_y + GAP_PIXELS), WHITE)
    for index, image in enumerate(pixels):
        tile = Image.fromarray(image).resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
        grid.paste(tile, (GAP_PIXELS + index % columns * step_x, GAP_PIXELS + index // columns * step_y))
    return grid
