"""Augmentations by name, with their options."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import Batch, DataSpec, PositiveInt
from trainer.data.augmentation.image_mixing import cut_mix, draw_fraction, mix_up
from trainer.data.augmentation.image_operations import (
    PaddingMode,
    alternating_flip,
    cutout,
    random_affine,
    random_crop,
    random_flip,
)
from trainer.data.augmentation.image_transforms import make_torchvision_transform, transform_images
from trainer.data.loading.counter_rng import BatchRNG
from trainer.data.preprocessing.base import Preprocessing
from trainer.data.preprocessing.images import ImagePreprocessing

Amount = Annotated[float, Ge(0)]


class ImageFormat(NamedTuple):
    """Format of the prepared images of a data set.

    Args:
        fill: Value of new pixels, e.g. those outside a shifted image.
        preprocessing: Conversion of stored images to prepared ones.
    """

    fill: float
    preprocessing: Preprocessing | None


class ImageStep(ABC):
    """Random change of each image of a batch."""

    @abstractmethod
    def apply(self, images: Tensor, random: BatchRNG, image_format: ImageFormat) -> Tensor:
        """Return changed images (batch, channels, height, width)."""

    def find_problem(self, spec: DataSpec) -> str:
        """Return the reason why the options do not fit the images of a data set, or ""."""
        return ""


@dataclass(frozen=True)
class Flip(ImageStep):
    """Flip left to right with probability 0.5."""

    def apply(self, images: Tensor, random: BatchRNG, image_format: ImageFormat) -> Tensor:
        return random_flip(images, random)


@dataclass(frozen=True)
class AlternatingFlip(ImageStep):
    """Flip left to right in every second epoch."""

    def apply(self, images: Tensor, random: BatchRNG, image_format: ImageFormat) -> Tensor:
        return alternating_flip(images, random)


@dataclass(frozen=True)
class Crop(ImageStep):
    """Cut a random part of the original size out of the padded image; see `random_crop`."""

    padding: PositiveInt = 4
    padding_mode: PaddingMode = "constant"

    def apply(self, images: Tensor, random: BatchRNG, image_format: ImageFormat) -> Tensor:
        return random_crop(images, random, padding=self.padding, mode=self.padding_mode, fill=image_format.fill)

    def find_problem(self, spec: DataSpec) -> str:
        side = min(spec.shape[1:])
        if self.padding_mode == "constant" or self.padding < side:
            return ""
        problem = f"{self.padding} is too large for padding_mode=reflect and images of {side} pixels"
        return f"crop.padding: {problem}; expected at most {side - 1}"


@dataclass(frozen=True)
class Affine(ImageStep):
    """Rotate, shift and scale with interpolation; see `random_affine`."""

    degrees: Amount = 0.0
    shift_pixels: Amount = 0.0
    scale: Annotated[float, Ge(0), Lt(1)] = 0.0

    def apply(self, images: Tensor, random: BatchRNG, image_format: ImageFormat) -> Tensor:
        amounts = {"degrees": self.degrees, "shift_pixels": self.shift_pixels, "scale": self.scale}
        return random_affine(images, random, **amounts, fill=image_format.fill)


@dataclass(frozen=True)
class Cutout(ImageStep):
    """Cover a square, by default of half the shorter side of the image; see `cutout`."""

    size: PositiveInt | None = None

    def apply(self, images: Tensor, random: BatchRNG, image_format: ImageFormat) -> Tensor:
        size = self.size or max(1, min(images.shape[2:]) // 2)
        return cutout(images, random, size=size, fill=image_format.fill)


@dataclass(frozen=True)
class Transform(ImageStep):
    """Function of one image, e.g. a transform of torchvision; see `transform_images`."""

    function: Callable[[Tensor], Any]

    def apply(self, images: Tensor, random: BatchRNG, image_format: ImageFormat) -> Tensor:
        if not isinstance(image_format.preprocessing, ImagePreprocessing):
            expected = "expected images of bytes, or only flip, alternating_flip, crop, affine, cutout, mixup, cutmix"
            raise UserError(f"data.augmentation: the images are not stored as bytes, which transforms need; {expected}")
        return transform_images(images, random, self.function, image_format.preprocessing)


@dataclass(frozen=True)
class TorchvisionStep(ImageStep):
    """Transform of torchvision, which is built when it is needed, because the import takes two seconds."""

    class_name: ClassVar[str]

    def apply(self, images: Tensor, random: BatchRNG, image_format: ImageFormat) -> Tensor:
        return self._transform.apply(images, random, image_format)

    def find_problem(self, spec: DataSpec) -> str:
        _ = self._transform  # raises an error if it cannot be built
        channels = spec.shape[0]
        return "" if channels in (1, 3) else f"colors need 1 or 3 channels; data '{spec.name}' has {channels}"

    @cached_property
    def _transform(self) -> Transform:
        return Transform(make_torchvision_transform(self.class_name, **asdict(self)))


@dataclass(frozen=True)
class ColorJitter(TorchvisionStep):
    """Change brightness, contrast, saturation and hue at random."""

    class_name = "ColorJitter"
    brightness: Amount = 0.4
    contrast: Amount = 0.4
    saturation: Amount = 0.4
    hue: Annotated[float, Ge(0), Le(0.5)] = 0.0


@dataclass(frozen=True)
class RandAugment(TorchvisionStep):
    """Apply random operations of one magnitude (Cubuk et al. 2020)."""

    class_name = "RandAugment"
    num_ops: PositiveInt = 2
    magnitude: Annotated[int, Ge(0), Le(30)] = 9


@dataclass(frozen=True)
class TrivialAugment(TorchvisionStep):
    """Apply one random operation of a random magnitude (Müller and Hutter 2021, the wide version)."""

    class_name = "TrivialAugmentWide"


class BatchStep(ABC):
    """Random combination of the examples of a batch, whose targets become probabilities."""

    @abstractmethod
    def apply(self, inputs: Tensor, targets: Tensor, random: np.random.Generator) -> Batch:
        """Return mixed inputs, and targets that are probabilities as before."""


@dataclass(frozen=True)
class MixUp(BatchStep):
    """Weighted mean of two examples; see `mix_up`."""

    alpha: Annotated[float, Gt(0)] = 1.0

    def apply(self, inputs: Tensor, targets: Tensor, random: np.random.Generator) -> Batch:
        return mix_up(inputs, targets, draw_fraction(random, self.alpha))


@dataclass(frozen=True)
class CutMix(BatchStep):
    """A rectangle from another example; see `cut_mix`."""

    alpha: Annotated[float, Gt(0)] = 1.0

    def apply(self, inputs: Tensor, targets: Tensor, random: np.random.Generator) -> Batch:
        return cut_mix(inputs, targets, draw_fraction(random, self.alpha), (random.random(), random.random()))
