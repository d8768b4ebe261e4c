"""Images of Pillow and arrays in memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from trainer.core.errors import UserError
from trainer.core.formatting import format_number

CHANNELS = (1, 3, 4)  # gray, RGB, RGBA
EXPECTED_IMAGES = "images of Pillow, or arrays (height, width) or (height, width, channels)"


def split_images(values: Any) -> Sequence[Any]:
    """Return a list of images: of one image, of a list, or of an array (images, height, width[, channels])."""
    if isinstance(values, np.ndarray):
        is_image = values.ndim < 3 or (values.ndim == 3 and values.shape[-1] in CHANNELS)
        return [values] if is_image else [*values]
    return values if isinstance(values, Sequence) else [values]


def make_image(value: Any, name: str) -> Image.Image:
    """Return an image of Pillow.

    Args:
        value: The image, or an array of bytes, of integers from 0 to 255, or of floats from 0 to 1.
        name: Name of the image, for messages.

    Raises:
        UserError: The value is no image.
    """
    if isinstance(value, Image.Image):
        return value
    if not isinstance(value, np.ndarray):
        raise UserError(f"{name}: cannot use a value of type {type(value).__name__}; expected {EXPECTED_IMAGES}")
    if value.ndim not in (2, 3) or (value.ndim == 3 and value.shape[-1] not in CHANNELS) or not value.size:
        raise UserError(f"{name}: an array of shape {value.shape} is no image; expected {EXPECTED_IMAGES}")
    if value.dtype.kind not in "buif":
        raise UserError(f"{name}: expected numbers, found type {value.dtype}")
    largest = 1 if value.dtype.kind in "bf" else 255
    if not (value.min() >= 0 and value.max() <= largest):  # also NaN
        value_range = f"found {format_number(value.min())} to {format_number(value.max())}"
        raise UserError(f"{name}: expected integers from 0 to 255, or floats from 0 to 1, {value_range}")
    pixels = (value * (255 / largest)).round().astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)
