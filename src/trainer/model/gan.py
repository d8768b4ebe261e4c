"""Generative adversarial network: a generator makes images out of noise, a discriminator tells them from real ones."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from math import prod
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from trainer.errors import MismatchError, UserError
from trainer.spec import DataSpec

Kind = Literal["dense", "convolutional"]
AT_ONCE = 500  # images that `sample` makes at a time, so that memory does not grow with their number


class GAN(nn.Module):
    """Two networks for `trainer.task.adversarial`: `generator` and `discriminator`.

    Args:
        spec: The data set's promise: images; where their range of values is known, the generator keeps to it.
        kind: What both networks are made of; each has its own of the next arguments.
        latent: Numbers of noise that an image is made from.
        generator: Dense: widths of the hidden layers, first to last.
        discriminator: Dense: the same.
        channels: Convolutional: of the discriminator's blocks, first to last, each of which halves height and width;
            the generator has them backwards.
        batch_norm: Whether the generator's layers are normalised over the batch.
        dropout: Probability, in [0, 1), that a unit of the discriminator is left out of a training step.
        slope: Of LeakyReLU below 0.
        ema_decay: In (0, 1): samples are drawn from a running average of the generator's weights that keeps this
            share of itself at each step; 0: from the weights themselves.

    Raises:
        UserError: `channels` halve the images too often, or a number is outside its range.

    Source:
        Goodfellow et al. 2014, Generative adversarial nets (dense); Radford et al. 2016, Unsupervised representation
        learning with deep convolutional GANs (convolutional).
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        kind: Kind = "dense",
        latent: int = 100,
        generator: Sequence[int] = (256, 512, 1024),
        discriminator: Sequence[int] = (512, 256),
        channels: Sequence[int] = (32, 64),
        batch_norm: bool = False,
        dropout: float = 0.0,
        slope: float = 0.2,
        ema_decay: float = 0.0,
    ) -> None:
        super().__init__()
        spec.require("gan", "image")
        if not 0 <= ema_decay < 1:
            raise UserError(f"model.net.ema_decay: {ema_decay} is not in [0, 1)")
        self.spec, self.latent, self.ema_decay = spec, latent, ema_decay
        if kind == "dense":
            made = _dense_generator([latent, *generator, prod(spec.shape)], spec.shape, batch_norm, slope)
            judge = _dense_discriminator([prod(spec.shape), *discriminator, 1], dropout, slope)
        else:
            made = _convolutional_generator(latent, channels, spec, batch_norm, slope)
            judge = _convolutional_discriminator(channels, spec, dropout, slope)
        low, high = spec.value_range or (-1.0, 1.0)
        into = [nn.Tanh(), Linearly((high - low) / 2, (high + low) / 2)] if spec.value_range else []
        self.generator = nn.Sequential(*made, *into)
        self.discriminator = nn.Sequential(Linearly(2 / (high - low), -(high + low) / (high - low)), *judge)
        self.to(memory_format=torch.channels_last)  # convolutions on the CPU run about 1.4 times as fast
        self.average = deepcopy(self.generator).requires_grad_(False) if ema_decay else None
        self.averaged: Tensor  # steps that `average` has seen
        self.register_buffer("averaged", torch.zeros(()) if ema_decay else None)

    def forward(self, images: Tensor) -> Tensor:
        """Say how real images look.

        Shapes:
            images: (batch, *spec.shape)
            returns: (batch, 1), logits: above 0 is real
        """
        return self.discriminator(images)

    def train(self, mode: bool = True) -> "GAN":
        super().train(mode)
        if self.average:
            self.average.eval()  # it does not learn, and its statistics are averages too
        return self

    @torch.no_grad()
    def follow(self) -> None:
        """Bring the average nearer to the generator; the task calls it after each of the generator's steps."""
        if not self.average:
            return
        self.averaged += 1
        # it keeps little in the first steps: the weights that training began with would else stay in it for long
        keep = (self.averaged / (self.averaged + 9)).clamp(max=self.ema_decay)
        for mine, new in zip(self.average.state_dict().values(), self.generator.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(new, 1 - keep)
            else:
                mine.copy_(new)  # counters of batch norm

    @torch.no_grad()
    def sample(self, count: int, random: Generator) -> Tensor:
        """New images, the same ones for the same state of `random`, which is on the CPU.

        Shapes:
            returns: (count, *spec.shape)
        """
        maker = self.average or self.generator
        noise = torch.randn(count, self.latent, generator=random).to(next(maker.parameters()))  # (count, latent)
        training = maker.training
        images = torch.cat([maker.eval()(some) for some in torch.split(noise, AT_ONCE)])
        maker.train(training)
        return images


class Linearly(nn.Module):
    """Multiply by one number and add another: between the range of the data and [-1, 1]."""

    def __init__(self, factor: float, offset: float) -> None:
        super().__init__()
        self.factor, self.offset = factor, offset

    def forward(self, numbers: Tensor) -> Tensor:
        """Any shape, and the same one returned."""
        return numbers * self.factor + self.offset


def _dense_generator(widths: Sequence[int], shape: Sequence[int], batch_norm: bool, slope: float) -> list[nn.Module]:
    """Noise (batch, latent) to images (batch, *shape), not yet in any range."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths[:-1]):
        layers += [nn.Linear(before, after, bias=not batch_norm), *_normal(nn.BatchNorm1d, after, batch_norm)]
        layers.append(nn.LeakyReLU(slope))
    return [*layers, nn.Linear(widths[-2], widths[-1]), nn.Unflatten(1, tuple(shape))]


def _dense_discriminator(widths: Sequence[int], dropout: float, slope: float) -> list[nn.Module]:
    """Images (batch, *shape) to logits (batch, 1)."""
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(widths[:-1]):
        layers += [nn.Linear(before, after), nn.LeakyReLU(slope), *_dropped(dropout)]
    return [*layers, nn.Linear(widths[-2], widths[-1])]


def _convolutional_generator(
    latent: int, channels: Sequence[int], spec: DataSpec, batch_norm: bool, slope: float
) -> list[nn.Module]:
    """Noise (batch, latent) to images (batch, *shape): a small image of many channels, doubled block by block."""
    size = _smallest(channels, spec)
    deepest = channels[-1]
    layers: list[nn.Module] = [
        nn.Linear(latent, deepest * prod(size), bias=not batch_norm),
        nn.Unflatten(1, (deepest, *size)),
        *_normal(nn.BatchNorm2d, deepest, batch_norm),
        nn.LeakyReLU(slope),
    ]
    for before, after in pairwise(reversed(channels)):
        layers.append(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=not batch_norm))
        layers += [*_normal(nn.BatchNorm2d, after, batch_norm), nn.LeakyReLU(slope)]
    return [*layers, nn.ConvTranspose2d(channels[0], spec.shape[0], 4, stride=2, padding=1)]


def _convolutional_discriminator(
    channels: Sequence[int], spec: DataSpec, dropout: float, slope: float
) -> list[nn.Module]:
    """Images (batch, *shape) to logits (batch, 1)."""
    size = _smallest(channels, spec)
    layers: list[nn.Module] = []
    for before, after in pairwise([spec.shape[0], *channels]):
        layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(slope), *_dropped(dropout)]
    return [*layers, nn.Flatten(), nn.Linear(channels[-1] * prod(size), 1)]


def _smallest(channels: Sequence[int], spec: DataSpec) -> tuple[int, int]:
    """Height and width after all halvings."""
    _, height, width = spec.shape
    most = max(power for power in range(32) if height % 2**power == 0 and width % 2**power == 0)
    if not 1 <= len(channels) <= most:
        advice = f"use 1 to {most}" if most else "use kind=dense"
        raise MismatchError(
            f"model.net.channels: {height}x{width} images cannot be halved {len(channels)} times; {advice} for data "
            f"'{spec.name}'"
        )
    return height // 2 ** len(channels), width // 2 ** len(channels)


def _normal(layer: type[nn.Module], width: int, wanted: bool) -> list[nn.Module]:
    return [layer(width)] if wanted else []


def _dropped(dropout: float) -> list[nn.Module]:
    return [nn.Dropout(dropout)] if dropout else []
