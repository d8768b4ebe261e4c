"""Random transforms of torchvision, which are applied to one image at a time with its own seed."""

from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.loading.counter_rng import BatchRNG
from trainer.data.loading.epoch_sampler import seed_globally
from trainer.data.preprocessing.images import ImagePreprocessing


def make_torchvision_transform(name: str, **options: Any) -> Callable[[Tensor], Any]:
    """Return a transform of `torchvision.transforms.v2` by its class name.

    Raises:
        UserError: torchvision rejects an option.
    """
    from torchvision.transforms import v2  # a slow import that few runs need

    try:
        transform: Callable[[Tensor], Any] = getattr(v2, name)(**options)
    except (ValueError, TypeError) as error:
        raise UserError(f"data.augmentation: {name}: {error}") from error
    return transform


def transform_images(
    images: Tensor, random: BatchRNG, transform: Callable[[Tensor], Any], preprocessing: ImagePreprocessing
) -> Tensor:
    """Apply a transform to each image as bytes; it may use the global random generators, whose states are restored.

    Args:
        images: Prepared images (batch, channels, height, width).
        random: Source of the seed of each image.
        transform: Function of an image (channels, height, width) of bytes on the CPU; returns one of the same shape, of
            bytes or of floats in [0, 1].
        preprocessing: Conversion of bytes to prepared images.

    Raises:
        UserError: The transform returns something else.
    """
    results = []
    with isolate_rng(include_cuda=False):
        for image, seed in zip(preprocessing.to_bytes(images).cpu(), random.derive_seeds(), strict=True):
            seed_globally(seed)
            results.append(_scale(transform(image), image.shape, transform))
    return preprocessing.from_fractions(torch.stack(results).to(images.device)).to(images.dtype)


def _scale(result: Any, shape: torch.Size, transform: object) -> Tensor:
    """Return an image as floats in [0, 1]."""
    is_image = isinstance(result, Tensor) and result.shape == shape
    if not is_image or not (result.dtype == torch.uint8 or result.is_floating_point()):
        actual = f"{result.dtype} {(*result.shape,)}" if isinstance(result, Tensor) else type(result).__name__
        raise UserError(
            f"data.augmentation: {type(transform).__name__} returns {actual}; expected an image of the same shape "
            f"{(*shape,)}, of bytes (torch.uint8) or of floats in [0, 1]"
        )
    return result.float() if result.is_floating_point() else result / 255
