"""Augmentation of the training images of a data set, from the setting `data.augmentation`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from trainer.core.errors import UserError, did_you_mean
from trainer.core.spec import Batch, DataSpec
from trainer.data.augmentation.image_mixing import to_probabilities
from trainer.data.augmentation.steps import (
    Affine,
    AlternatingFlip,
    BatchStep,
    ColorJitter,
    Crop,
    CutMix,
    Cutout,
    Flip,
    ImageFormat,
    ImageStep,
    MixUp,
    RandAugment,
    Transform,
    TrivialAugment,
)
from trainer.data.loading.counter_rng import BatchRNG

AugmentationSetting = Sequence[Any]  # names, {NAME: {OPTION: VALUE}}, and transforms of one image

STEPS: dict[str, type[ImageStep | BatchStep]] = {
    "flip": Flip,
    "alternating_flip": AlternatingFlip,
    "crop": Crop,
    "affine": Affine,
    "cutout": Cutout,
    "color_jitter": ColorJitter,
    "rand_augment": RandAugment,
    "trivial_augment": TrivialAugment,
    "mixup": MixUp,
    "cutmix": CutMix,
}
EXPECTED = "a name, {NAME: {OPTION: VALUE}}, or {_target_: torchvision.transforms.v2.CLASS}"


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images.

    Args:
        image_steps: Changes of each image, in the order in which they are made.
        batch_steps: Combinations of the examples of a batch; one of them, drawn at random, is made for each batch.
    """

    image_steps: tuple[ImageStep, ...] = ()
    batch_steps: tuple[BatchStep, ...] = ()

    def validate(self, spec: DataSpec) -> None:
        """Raise a `UserError` if the augmentation does not fit a data set."""
        if (self.image_steps or self.batch_steps) and spec.kind != "image":
            raise UserError(f"data.augmentation: needs images; data '{spec.name}' has inputs of kind {spec.kind}")
        if self.batch_steps and spec.target == "regression":
            problem = f"mixup and cutmix need classes; data '{spec.name}' has values"
            raise UserError(f"data.augmentation: {problem}; remove them from the list")
        for step in self.image_steps:
            if problem := step.find_problem(spec):
                raise UserError(f"data.augmentation: {problem}")

    def apply(self, images: Tensor, random: BatchRNG, image_format: ImageFormat) -> Tensor:
        """Return changed images (batch, channels, height, width)."""
        for step in self.image_steps:
            images = step.apply(images, random, image_format)
        return images

    def mix(self, inputs: Tensor, targets: Tensor, random: np.random.Generator, output_size: int) -> Batch:
        """Return mixed inputs and their targets as probabilities (batch, classes), or (batch,) for one output.

        Args:
            inputs: Images (batch, channels, height, width).
            targets: Classes (batch,).
            random: Source of all random numbers.
            output_size: Number of network outputs.
        """
        step = self.batch_steps[random.integers(len(self.batch_steps))]
        return step.apply(inputs, to_probabilities(targets, output_size), random)


def parse_augmentation(setting: AugmentationSetting) -> Augmentation:
    """Return the augmentation of a setting: names, `{NAME: {OPTION: VALUE}}`, and transforms of one image.

    Raises:
        UserError: A name or an option is unknown, or a value is invalid.
    """
    if isinstance(setting, str | Mapping):
        raise UserError(f"data.augmentation: expected a list, found {setting!r}; each entry is {EXPECTED}")
    steps = [_make_step(entry) for entry in setting]
    return Augmentation(
        tuple(step for step in steps if isinstance(step, ImageStep)),
        tuple(step for step in steps if isinstance(step, BatchStep)),
    )


def _make_step(entry: Any) -> ImageStep | BatchStep:
    if callable(entry):
        return Transform(entry)
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise UserError(f"data.augmentation: {entry!r} is no augmentation; expected {EXPECTED}")
    [(name, options)] = entry.items()
    if name not in STEPS:
        raise UserError(f"data.augmentation: no augmentation '{name}'{did_you_mean(str(name), [*STEPS])}")
    options = {} if options is None else options
    names = [field.name for field in fields(STEPS[name])]  # type: ignore[arg-type]  # all are dataclasses
    if not isinstance(options, Mapping):
        raise UserError(f"data.augmentation: {name}: expected options {{{', '.join(names)}}}, found {options!r}")
    for option in options:
        if option not in names:
            hint = did_you_mean(str(option), names) or "; it has no options"
            raise UserError(f"data.augmentation: {name} has no option '{option}'{hint}")
    try:
        return TypeAdapter(STEPS[name]).validate_python(options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        expected = first["msg"].removeprefix("Input should be ")
        raise UserError(
            f"data.augmentation: {name}.{first['loc'][0]}: {first['input']!r} is not valid; expected {expected}"
        ) from None
