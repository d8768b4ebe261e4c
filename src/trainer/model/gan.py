"""Generative adversarial network of a generator and a discriminator for images."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from math import prod

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.layers.dense import make_dense

SAMPLE_BATCH_SIZE = 500  # images per call of the generator, to limit memory


class GAN(nn.Module):
    """Generator and discriminator for `trainer.task.adversarial`.

    Args:
        spec: Specification of the data set: images. If their value range is known, generated images are within it.
        latent: Number of noise values per generated image.
        generator: Widths of the hidden dense layers of the generator.
        discriminator: Widths of the hidden dense layers of the discriminator.
        channels: Channels of the convolutions at the start of the discriminator, each of which halves height and width;
            the generator ends with transposed convolutions in reverse order. `[]` makes both networks dense.
        conditional: Whether both networks receive the class of an image. Samples then cycle through all classes.
        batch_norm: Whether the layers of the generator are normalized over the batch.
        dropout: Dropout probability in [0, 1) in the discriminator.
        slope: Slope of LeakyReLU for negative inputs.
        ema_decay: Decay in [0, 1) of a running average of the generator weights, which is used for sampling; 0 uses
            the weights themselves.
        temperature: Factor of the noise of samples, not used in training; below 1 images are clearer and less varied.

    Raises:
        UserError: `channels` halve the images too often, a number is outside its range, or there are no classes.

    Source:
        Goodfellow et al. 2014, Generative adversarial nets; Radford et al. 2016, Unsupervised representation learning
        with deep convolutional GANs; Mirza and Osindero 2014, Conditional generative adversarial nets; Mescheder et al.
        2018, Which training methods for GANs do actually converge? (a logit for each class, a running average);
        Kingma and Dhariwal 2018, Glow (samples at a reduced temperature).
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        latent: int = 100,
        generator: Sequence[int] = (256, 512, 1024),
        discriminator: Sequence[int] = (512, 256),
        channels: Sequence[int] = (),
        conditional: bool = False,
        batch_norm: bool = False,
        dropout: float = 0.0,
        slope: float = 0.2,
        ema_decay: float = 0.0,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        spec.require("gan", "image")
        if not 0 <= ema_decay < 1:
            raise UserError(f"model.net.ema_decay: {ema_decay} is not in [0, 1)")
        if temperature <= 0:
            raise UserError(f"model.net.temperature: {temperature} is not greater than 0")
        if conditional and spec.target != "classification":
            raise UserError(f"model.net.conditional: data '{spec.name}' has no classes; set it to false")
        self.spec = spec
        self.latent = latent
        self.ema_decay = ema_decay
        self.temperature = temperature
        self.classes = len(spec.class_names) if conditional else 0  # 0 if not conditional
        # shape between dense layers and convolutions
        shape = (channels[-1], *_compute_downsampled_size(channels, spec)) if channels else spec.shape
        low, high = spec.value_range or (-1.0, 1.0)
        self.generator = nn.Sequential(
            *make_dense([latent + self.classes, *generator, prod(shape)], "leaky_relu", batch_norm=batch_norm),
            nn.Unflatten(1, shape),
            *_make_upsampling_layers([*reversed(channels), spec.shape[0]], batch_norm),
            *([nn.Tanh(), Affine((high - low) / 2, (high + low) / 2)] if spec.value_range else []),
        )
        self.discriminator = nn.Sequential(
            Affine(2 / (high - low), -(high + low) / (high - low)),
            *_make_downsampling_layers([spec.shape[0], *channels], dropout),
            nn.Flatten(),
            *make_dense([prod(shape), *discriminator, max(1, self.classes)], "leaky_relu", dropout=dropout),
        )
        for layer in self.modules():
            if isinstance(layer, nn.LeakyReLU):
                layer.negative_slope = slope
        self.to(memory_format=torch.channels_last)  # convolutions on the CPU run about 1.4 times as fast
        self.generator_average = deepcopy(self.generator).requires_grad_(False) if ema_decay else None
        self.num_averaged: Tensor  # number of updates of the average
        self.register_buffer("num_averaged", torch.zeros(()) if ema_decay else None)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of the discriminator, above 0 for real images.

        Shapes:
            images: (batch, *spec.shape)
            returns: (batch, 1), or (batch, classes) if conditional: logits of a real image of each class
        """
        return self.discriminator(images)

    def generate(self, noise: Tensor, targets: Tensor) -> Tensor:
        """Generate images.

        Shapes:
            noise: (batch, latent)
            targets: (batch,) classes, not used unless conditional
            returns: (batch, *spec.shape)
        """
        return self.generator(self._append_class(noise, targets))

    def discriminate(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return logits, above 0 for real images (of the target class if conditional).

        Shapes:
            images: (batch, *spec.shape)
            targets: (batch,) classes
            returns: (batch, 1)
        """
        logits: Tensor = self.discriminator(images)  # (batch, 1) or (batch, classes)
        return logits.gather(1, targets[:, None]) if self.classes else logits

    def train(self, mode: bool = True) -> "GAN":
        super().train(mode)
        if self.generator_average:
            self.generator_average.eval()  # its batch norm statistics are averages too
        return self

    @torch.no_grad()
    def update_average(self) -> None:
        """Update the running average; the task calls it after each step of the generator."""
        if not self.generator_average:
            return
        self.num_averaged += 1
        # smaller in the first steps, so that the initial weights do not remain in the average
        decay = (self.num_averaged / (self.num_averaged + 9)).clamp(max=self.ema_decay)
        values = self.generator.state_dict().values()
        for average, value in zip(self.generator_average.state_dict().values(), values, strict=True):
            if average.is_floating_point():
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)  # counters of batch norm

    @torch.no_grad()
    def sample(self, count: int, random: Generator) -> Tensor:
        """Return new images (count, *spec.shape); the noise depends on `random`, a generator on the CPU."""
        net = self.generator_average or self.generator
        noise = self.temperature * torch.randn(count, self.latent, generator=random)  # (count, latent)
        noise = noise.to(next(net.parameters()))
        inputs = self._append_class(noise, torch.arange(count, device=noise.device) % max(1, self.classes))
        training = net.training
        images = torch.cat([net.eval()(batch) for batch in torch.split(inputs, SAMPLE_BATCH_SIZE)])
        net.train(training)
        return images

    def _append_class(self, noise: Tensor, targets: Tensor) -> Tensor:
        """Return the inputs of the generator: (batch, latent), or (batch, latent + classes) if conditional."""
        return torch.cat([noise, F.one_hot(targets, self.classes).to(noise)], 1) if self.classes else noise


class Affine(nn.Module):
    """Multiplication by a constant and addition of another: maps the range of the data to [-1, 1] or back."""

    def __init__(self, factor: float, offset: float) -> None:
        super().__init__()
        self.factor = factor
        self.offset = offset

    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs of any shape to outputs of the same shape."""
        return inputs * self.factor + self.offset


def _make_upsampling_layers(channels: Sequence[int], batch_norm: bool) -> list[nn.Module]:
    """Return transposed convolutions between these channels, each of which doubles height and width."""
    layers: list[nn.Module] = []
    for in_channels, out_channels in pairwise(channels):
        layers += [nn.BatchNorm2d(in_channels)] if batch_norm else []
        layers += [nn.LeakyReLU(), nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1)]
    return layers


def _make_downsampling_layers(channels: Sequence[int], dropout: float) -> list[nn.Module]:
    """Return convolutions between these channels, each of which halves height and width."""
    layers: list[nn.Module] = []
    for in_channels, out_channels in pairwise(channels):
        layers += [nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1), nn.LeakyReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
    return layers


def _compute_downsampled_size(channels: Sequence[int], spec: DataSpec) -> tuple[int, int]:
    """Return height and width after halving both once for each of `channels`."""
    _, height, width = spec.shape
    limit = max(power for power in range(32) if height % 2**power == 0 and width % 2**power == 0)
    if len(channels) > limit:
        raise MismatchError(
            f"model.net.channels: {height}x{width} images cannot be halved {len(channels)} times; use at most {limit} "
            f"for data '{spec.name}'"
        )
    return height // 2 ** len(channels), width // 2 ** len(channels)
