"""Conversion of image files to bytes of a fixed size, and of bytes to standardized floats."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.io.images.image_files import IMAGE_EXTENSIONS, list_image_files, open_image
from trainer.data.io.images.memory_images import make_image, split_images
from trainer.data.preprocessing.base import OPTION, Examples, Preprocessing, batched, iter_files

Fit = Literal["none", "crop", "pad", "stretch"]

# of ImageNet's pixels, scaled to [0, 1], by number of channels; pretrained weights expect them
MEAN = {1: (0.449,), 3: (0.485, 0.456, 0.406)}
STD = {1: (0.226,), 3: (0.229, 0.224, 0.225)}
BACKGROUND = "white"  # behind transparent pixels


@dataclass(frozen=True)
class ImagePreprocessing(Preprocessing):
    """Stored inputs are bytes (images, channels, height, width) from 0 to `max_value`.

    Args:
        shape: Channels (1 is grayscale, 3 RGB), height and width.
        mean: Mean of the stored numbers, for all channels or for each; subtracted.
        std: Standard deviation by which they are divided then.
        max_value: Largest stored number.
        fit: Treatment of images with other proportions: `"crop"` keeps the center, `"pad"` adds black, `"stretch"`
            distorts the image, `"none"` raises an error.
        invert: Whether user files are inverted, e.g. dark ink on paper for a network trained on bright strokes.
    """

    shape: tuple[int, int, int]
    mean: float | Tensor
    std: float | Tensor
    max_value: int = 255
    fit: Fit = field(default="none", metadata=OPTION)
    invert: bool = field(default=False, metadata=OPTION)

    @property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest number of prepared inputs."""
        mean, std = (torch.as_tensor(value, dtype=torch.float64) for value in (self.mean, self.std))
        return (-mean / std).min().item(), ((self.max_value - mean) / std).max().item()

    def prepare(self, inputs: Tensor) -> Tensor:
        """Convert bytes to standardized floats."""
        mean, std = self._statistics_on(inputs.device)
        return inputs.float().sub_(mean).mul_(1 / std)

    def to_bytes(self, prepared: Tensor) -> Tensor:
        """Convert prepared inputs to bytes from 0 to 255, the nearest ones to the pixels."""
        mean, std = self._statistics_on(prepared.device)
        return ((prepared.float() * std + mean) * (255 / self.max_value)).round_().clamp_(0, 255).byte()

    def _statistics_on(self, device: torch.device) -> list[float | Tensor]:
        """Return mean and standard deviation, with their tensors on a device."""
        return [value.to(device) if isinstance(value, Tensor) else value for value in (self.mean, self.std)]

    def from_fractions(self, images: Tensor) -> Tensor:
        """Convert pixels in [0, 1] to prepared inputs."""
        return self.prepare(images * self.max_value)

    def read(self, files: Iterable[Path], batch_size: int) -> Iterator[Examples]:
        """Yield one example per image file, including those in directories."""
        self._validate_fit()
        for batch in batched(iter_files(files, IMAGE_EXTENSIONS, list_image_files), batch_size):
            yield Examples([str(file) for file in batch], [None] * len(batch), self.read_images(batch))

    def read_values(self, values: Any, batch_size: int) -> Iterator[Examples]:
        """Yield images of Pillow, and arrays (height, width) or (height, width, channels), or lists of them."""
        self._validate_fit()
        for batch in batched(enumerate(split_images(values)), batch_size):
            rows, images = zip(*batch, strict=True)
            names = [f"image {row}" for row in rows]
            inputs = [self.convert_image(make_image(*item), item[1]) for item in zip(images, names, strict=True)]
            yield Examples([""] * len(rows), [*rows], torch.stack(inputs))

    def read_images(self, files: Iterable[str | Path]) -> Tensor:
        """Read several images (files, *shape); see `read_image`."""
        return torch.stack([*map(self.read_image, files)])

    def read_image(self, file: str | Path) -> Tensor:
        """Read an image file, converted to the channels, size and range of stored inputs.

        The first image of an animation or of several pages is used. Transparent pixels are composited on white.

        Raises:
            UserError: If the file cannot be read, or cannot be converted without a decision of the user.
        """
        with open_image(file) as opened:
            if self.fit != "none":  # decoding a large JPEG at reduced size saves most of the time
                opened.draft(None, (2 * max(self.shape[1:]),) * 2)
            return self.convert_image(ImageOps.exif_transpose(opened), file)

    def convert_image(self, image: Image.Image, file: str | Path) -> Tensor:
        """Return an image as stored inputs (channels, height, width).

        Args:
            image: The image.
            file: Its file or name, for messages.

        Raises:
            UserError: The image cannot be converted without a decision of the user.
        """
        image = self._convert_mode(image, file)
        pixels = np.asarray(self._resize(image, file), np.float32).reshape(*self.shape[1:], -1)
        pixels = 255 - pixels if self.invert else pixels
        stored = (pixels * (self.max_value / 255)).round().astype(np.uint8)
        return torch.from_numpy(stored).permute(2, 0, 1)

    def _validate_fit(self) -> None:
        if self.fit not in get_args(Fit):
            raise UserError(f"fit: '{self.fit}' is not one of {', '.join(get_args(Fit))}")

    def _convert_mode(self, image: Image.Image, file: str | Path) -> Image.Image:
        """Convert an image to 8 bits and the channels of stored inputs."""
        if image.mode.startswith("I") or image.mode == "F":  # Pillow would truncate 16 bits instead of scaling them
            values = np.asarray(image, np.float64)
            if image.mode == "F" or values.min() < 0 or values.max() > 65535:
                raise UserError(f"{file}: its pixels do not have 8 or 16 bits; save it as 8-bit PNG")
            image = Image.fromarray((values / 257).round().astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image)
        if self.shape[0] not in (1, 3):
            raise UserError(f"{file}: the network takes {self.shape[0]} channels, but an image file has 1 or 3")
        return image.convert("L" if self.shape[0] == 1 else "RGB")

    def _resize(self, image: Image.Image, file: str | Path) -> Image.Image:
        height, width = self.shape[1:]
        if image.size == (width, height):
            return image
        image_width, image_height = image.size
        distortion = abs(image_width * height - image_height * width) / (image_width * height)
        if self.fit == "crop":
            return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
        if self.fit == "pad":
            color = "white" if self.invert else "black"
            return ImageOps.pad(image, (width, height), Image.Resampling.BILINEAR, color=color)
        if self.fit == "none" and distortion > 0.02:
            raise UserError(
                f"{file}: {image_width}x{image_height} pixels, but the network takes {width}x{height}, with other "
                "proportions; choose how to fit it: --fit crop, pad or stretch"
            )
        return image.resize((width, height), Image.Resampling.BILINEAR)


def make_photo_preprocessing(
    fit: Fit, mean: Sequence[float] | None, std: Sequence[float] | None, *, size: int, channels: int
) -> ImagePreprocessing:
    """Return the preprocessing of square photographs.

    Args:
        fit: Treatment of images that are not square.
        mean: Mean of each channel, scaled to [0, 1]. Defaults to ImageNet's.
        std: Standard deviation of each channel. Defaults to ImageNet's.
        size: Height and width in pixels.
        channels: 1 or 3.
    """
    means = _resolve_channel_values("mean", mean, MEAN[channels])
    stds = _resolve_channel_values("std", std, STD[channels])
    return ImagePreprocessing((channels, size, size), _scale_to_bytes(means), _scale_to_bytes(stds), fit=fit)


def _resolve_channel_values(name: str, values: Sequence[float] | None, default: Sequence[float]) -> Sequence[float]:
    values = default if values is None else values
    if len(values) != len(default) or (name == "std" and min(values) <= 0):
        positive = "positive " if name == "std" else ""
        raise UserError(
            f"data.{name}: {[*values]} is invalid; expected one {positive}number for each of {len(default)} channel(s)"
        )
    return values


def _scale_to_bytes(values: Sequence[float]) -> Tensor:
    """Scale values in [0, 1] of each channel to the range of a byte: (channels, 1, 1)."""
    return 255 * torch.tensor(values).view(-1, 1, 1)
