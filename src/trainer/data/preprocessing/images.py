"""Images: pixels as bytes, brought to the mean and the deviation of the training; and pictures from files."""

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
from trainer.data.preprocessing.base import OPTION, Examples, Preprocessing, files_in, in_parts

Fit = Literal["none", "crop", "pad", "stretch"]

ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"),
    *(".jpe", ".jfif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
# recognized in files without an ending; not TIFF, in which cameras store raw pictures that Pillow cannot read
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM")


def is_picture(file: str | Path) -> bool:
    """Return whether a file is a picture: by the ending of its name, or by its content if there is no ending."""
    ending = os.path.splitext(file)[1].lower()
    if ending in ENDINGS or (ending and not ending[1:].isdecimal()):  # IMG_2024.01.31 has no ending either
        return ending in ENDINGS
    try:
        with warnings.catch_warnings(), Image.open(file, formats=FORMATS):
            return True
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # so large that reading it will be refused
        return True
    except (OSError, SyntaxError, ValueError):
        return False


@dataclass(frozen=True)
class Images(Preprocessing):
    """What is stored are bytes (images, channels, height, width), 0 to `highest`.

    Args:
        shape: Channels (1 is grey, 3 red, green and blue), height and width.
        mean: Of the stored numbers, which is taken from them: one number, or one for each channel.
        deviation: ... and what they are divided by then.
        highest: The brightest stored number.
        fit: What is done to a picture of other proportions: the middle is kept by `"crop"`, black is added by
            `"pad"`, and `"stretch"` distorts it; `"none"` refuses it.
        invert: Whether dark and bright change places in a user's files: ink on paper, for a network that learned
            from bright strokes.
    """

    shape: tuple[int, int, int]
    mean: float | Tensor
    deviation: float | Tensor
    highest: int = 255
    fit: Fit = field(default="none", metadata=OPTION)
    invert: bool = field(default=False, metadata=OPTION)

    def prepare(self, inputs: Tensor) -> Tensor:
        """Bytes to floats."""
        mean, deviation = (
            each.to(inputs.device) if isinstance(each, Tensor) else each for each in (self.mean, self.deviation)
        )
        return inputs.float().sub_(mean).mul_(1 / deviation)

    def read(self, files: Iterable[Path], at_once: int) -> Iterator[Examples]:
        """A picture from each file, and from each picture in a directory."""
        if self.fit not in get_args(Fit):
            raise UserError(f"fit: '{self.fit}' is not one of {', '.join(get_args(Fit))}")
        for some in in_parts(files_in(files, ENDINGS, is_picture), at_once):
            yield Examples([str(file) for file in some], [None] * len(some), self.pictures(some))

    def pictures(self, files: Iterable[str | Path]) -> Tensor:
        """Several pictures, as `picture` has each: (files, *shape)."""
        return torch.stack([*map(self.picture, files)])

    def picture(self, file: str | Path) -> Tensor:
        """One picture as it would be stored: grey or in colour as the training data are, in their size and range.

        Raises:
            UserError: It cannot be read, or it cannot be made into such an image without a choice of the user's.
        """
        try:
            with warnings.catch_warnings(), Image.open(file) as opened:
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                if (count := getattr(opened, "n_frames", 1)) > 1:
                    raise UserError(f"{file}: has {count} pictures in it; save the one that is meant")
                if self.fit != "none":  # a much larger JPEG is unpacked smaller at once, which saves most of the time
                    opened.draft(None, (2 * max(self.shape[1:]),) * 2)
                picture = self._coloured(ImageOps.exif_transpose(opened), file)
        except (UnidentifiedImageError, IsADirectoryError):
            raise UserError(f"{file}: no picture (PNG, JPEG, BMP, GIF, TIFF, WebP)") from None
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, Warning) as error:
            raise UserError(f"{file}: a picture that cannot be read: {error}") from error
        pixels = np.asarray(self._sized(picture, file), np.float32).reshape(*self.shape[1:], -1)
        pixels = 255 - pixels if self.invert else pixels
        stored = (pixels * (self.highest / 255)).round().astype(np.uint8)
        return torch.from_numpy(stored).permute(2, 0, 1)

    def _coloured(self, picture: Image.Image, file: str | Path) -> Image.Image:
        """Eight bits in the channels of the training data."""
        if picture.mode.startswith("I") or picture.mode == "F":  # Pillow would cut 16 bits off, not scale them
            numbers = np.asarray(picture, np.float64)
            if picture.mode == "F" or numbers.min() < 0 or numbers.max() > 65535:
                raise UserError(f"{file}: its pixels are not numbers of 8 or 16 bits; save it as 8-bit PNG")
            picture = Image.fromarray((numbers / 257).round().astype(np.uint8))
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            if np.asarray(picture.getchannel("A")).min() < 255:
                raise UserError(f"{file}: has transparent pixels, of which nobody knows the colour; save it without")
        if self.shape[0] not in (1, 3):
            raise UserError(f"{file}: the network takes images of {self.shape[0]} channels, and a picture has 1 or 3")
        return picture.convert("L" if self.shape[0] == 1 else "RGB")

    def _sized(self, picture: Image.Image, file: str | Path) -> Image.Image:
        """Height and width of the training data."""
        height, width = self.shape[1:]
        if picture.size == (width, height):
            return picture
        wide, tall = picture.size
        off = abs(wide * height - tall * width) / (wide * height)  # of the height that would keep its proportions
        if self.fit == "crop":
            return ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
        if self.fit == "pad":
            dark = "white" if self.invert else "black"
            return ImageOps.pad(picture, (width, height), Image.Resampling.BILINEAR, color=dark)
        if self.fit == "none" and off > 0.02:
            raise UserError(
                f"{file}: {wide}x{tall} pixels, but the network takes {width}x{height}, of other proportions; add "
                "fit=crop, fit=pad or fit=stretch"
            )
        return picture.resize((width, height), Image.Resampling.BILINEAR)
