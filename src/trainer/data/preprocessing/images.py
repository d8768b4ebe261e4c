"""Conversion of image files to bytes of a fixed size, and of bytes to standardized floats."""

import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.preprocessing.base import OPTION, Examples, Preprocessing, batched, iter_files

Fit = Literal["none", "crop", "pad", "stretch"]

IMAGE_EXTENSIONS = (
    *(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"),
    *(".jpe", ".jfif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
# formats detected in files without an extension; not TIFF, which includes raw camera files that Pillow cannot read
PILLOW_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM")


def is_image_file(file: str | Path) -> bool:
    """Return whether a file is an image, from its extension, or from its content if it has none."""
    extension = os.path.splitext(file)[1].lower()
    if extension in IMAGE_EXTENSIONS or (extension and not extension[1:].isdecimal()):  # IMG_2024.01.31 has none
        return extension in IMAGE_EXTENSIONS
    try:
        with warnings.catch_warnings(), Image.open(file, formats=PILLOW_FORMATS):
            return True
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # reading it will raise an error
        return True
    except (OSError, SyntaxError, ValueError):
        return False


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

    def prepare(self, inputs: Tensor) -> Tensor:
        """Convert bytes to standardized floats."""
        mean, std = (value.to(inputs.device) if isinstance(value, Tensor) else value for value in (self.mean, self.std))
        return inputs.float().sub_(mean).mul_(1 / std)

    def read(self, files: Iterable[Path], batch_size: int) -> Iterator[Examples]:
        """Yield one example per image file, including those in directories."""
        if self.fit not in get_args(Fit):
            raise UserError(f"fit: '{self.fit}' is not one of {', '.join(get_args(Fit))}")
        for batch in batched(iter_files(files, IMAGE_EXTENSIONS, is_image_file), batch_size):
            yield Examples([str(file) for file in batch], [None] * len(batch), self.read_images(batch))

    def read_images(self, files: Iterable[str | Path]) -> Tensor:
        """Read several images (files, *shape); see `read_image`."""
        return torch.stack([*map(self.read_image, files)])

    def read_image(self, file: str | Path) -> Tensor:
        """Read an image file, converted to the channels, size and range of stored inputs.

        Raises:
            UserError: If the file cannot be read, or cannot be converted without a decision of the user.
        """
        try:
            with warnings.catch_warnings(), Image.open(file) as opened:
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                if (count := getattr(opened, "n_frames", 1)) > 1:
                    raise UserError(f"{file}: has {count} images in it; save one of them as a file")
                if self.fit != "none":  # decoding a large JPEG at reduced size saves most of the time
                    opened.draft(None, (2 * max(self.shape[1:]),) * 2)
                image = self._convert_mode(ImageOps.exif_transpose(opened), file)
        except (UnidentifiedImageError, IsADirectoryError):
            raise UserError(f"{file}: not an image (PNG, JPEG, BMP, GIF, TIFF, WebP)") from None
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, Warning) as error:
            raise UserError(f"{file}: an image that cannot be read: {error}") from error
        pixels = np.asarray(self._resize(image, file), np.float32).reshape(*self.shape[1:], -1)
        pixels = 255 - pixels if self.invert else pixels
        stored = (pixels * (self.max_value / 255)).round().astype(np.uint8)
        return torch.from_numpy(stored).permute(2, 0, 1)

    def _convert_mode(self, image: Image.Image, file: str | Path) -> Image.Image:
        """Convert an image to 8 bits and the channels of stored inputs."""
        if image.mode.startswith("I") or image.mode == "F":  # Pillow would truncate 16 bits instead of scaling them
            values = np.asarray(image, np.float64)
            if image.mode == "F" or values.min() < 0 or values.max() > 65535:
                raise UserError(f"{file}: its pixels do not have 8 or 16 bits; save it as 8-bit PNG")
            image = Image.fromarray((values / 257).round().astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            if np.asarray(image.getchannel("A")).min() < 255:
                raise UserError(f"{file}: has transparent pixels, whose color is undefined; save it without")
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
