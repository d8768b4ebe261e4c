"""Generative adversarial network: a generator makes images out of noise, a discriminator tells them from real ones."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from math import prod

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec
from trainer.model.layers.dense import dense

AT_ONCE = 500  # images that `sample` makes at a time, so that memory does not grow with their number


class GAN(nn.Module):
    """Two networks for `trainer.task.adversarial`: `generator` and `discriminator`.

    Args:
        spec: The data set's promise: images; where their range of values is known, the generator keeps to it.
        latent: Numbers of noise that an image is made from.
        generator: Widths of the generator's hidden dense layers, first to last.
        discriminator: The same of the discriminator.
        channels: The discriminator begins with so many convolutions, of these channels, each of which halves height
            and width; the generator ends with as many that double them, backwards. `[]`: both networks are dense.
        conditional: Whether both are told the class: the generator which one to make, the discriminator which one an
            image is said to be. Images are then made of all classes in turn.
        batch_norm: Whether the generator's layers are normalised over the batch.
        dropout: Probability, in [0, 1), that a unit of the discriminator is left out of a training step.
        slope: Of LeakyReLU below 0.
        ema_decay: In (0, 1): samples are drawn from a running average of the generator's weights that keeps this
            share of itself at each step; 0: from the weights themselves.
        temperature: What the noise of samples is multiplied by; below 1 they are clearer and less varied. Training
            does not see it.

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
        if conditional and spec.target != "classes":
            raise UserError(f"model.net.conditional: data '{spec.name}' has no classes; set it to false")
        self.spec, self.latent, self.ema_decay, self.temperature = spec, latent, ema_decay, temperature
        self.classes = len(spec.class_names) if conditional else 0  # 0: nothing is told
        between = (channels[-1], *_halved(channels, spec)) if channels else spec.shape  # dense on one side of it
        low, high = spec.value_range or (-1.0, 1.0)
        self.generator = nn.Sequential(
            *dense([latent + self.classes, *generator, prod(between)], "leaky_relu", batch_norm=batch_norm),
            nn.Unflatten(1, between),
            *_doublings([*reversed(channels), spec.shape[0]], batch_norm),
            *([nn.Tanh(), Linearly((high - low) / 2, (high + low) / 2)] if spec.value_range else []),
        )
        self.discriminator = nn.Sequential(
            Linearly(2 / (high - low), -(high + low) / (high - low)),
            *_halvings([spec.shape[0], *channels], dropout),
            nn.Flatten(),
            *dense([prod(between), *discriminator, max(1, self.classes)], "leaky_relu", dropout=dropout),
        )
        for layer in self.modules():
            if isinstance(layer, nn.LeakyReLU):
                layer.negative_slope = slope
        self.to(memory_format=torch.channels_last)  # convolutions on the CPU run about 1.4 times as fast
        self.average = deepcopy(self.generator).requires_grad_(False) if ema_decay else None
        self.averaged: Tensor  # steps that `average` has seen
        self.register_buffer("averaged", torch.zeros(()) if ema_decay else None)

    def forward(self, images: Tensor) -> Tensor:
        """Say how real images look.

        Shapes:
            images: (batch, *spec.shape)
            returns: (batch, 1), logits: above 0 is real; conditional: (batch, classes), a real one of that class
        """
        return self.discriminator(images)

    def make(self, noise: Tensor, targets: Tensor) -> Tensor:
        """Make images.

        Shapes:
            noise: (batch, latent)
            targets: (batch,) classes, of no effect unless the network is conditional
            returns: (batch, *spec.shape)
        """
        return self.generator(self._told(noise, targets))

    def judge(self, images: Tensor, targets: Tensor) -> Tensor:
        """Say how real images look, and how much like their class where that is told.

        Shapes:
            images: (batch, *spec.shape)
            targets: (batch,) classes
            returns: (batch, 1), logits
        """
        logits: Tensor = self.discriminator(images)  # (batch, 1) or (batch, classes)
        return logits.gather(1, targets[:, None]) if self.classes else logits

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
        noise = self.temperature * torch.randn(count, self.latent, generator=random)  # (count, latent)
        noise = noise.to(next(maker.parameters()))
        told = self._told(noise, torch.arange(count, device=noise.device) % max(1, self.classes))
        training = maker.training
        images = torch.cat([maker.eval()(some) for some in torch.split(told, AT_ONCE)])
        maker.train(training)
        return images

    def _told(self, noise: Tensor, targets: Tensor) -> Tensor:
        """What the generator reads: (batch, latent), or (batch, latent + classes)."""
        return torch.cat([noise, F.one_hot(targets, self.classes).to(noise)], 1) if self.classes else noise


class Linearly(nn.Module):
    """Multiply by one number and add another: between the range of the data and [-1, 1]."""

    def __init__(self, factor: float, offset: float) -> None:
        super().__init__()
        self.factor, self.offset = factor, offset

    def forward(self, numbers: Tensor) -> Tensor:
        """Any shape, and the same one returned."""
        return numbers * self.factor + self.offset


def _doublings(channels: Sequence[int], batch_norm: bool) -> list[nn.Module]:
    """Images of `channels[0]` channels to images of `channels[-1]`, each step twice as high and wide."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.BatchNorm2d(before)] if batch_norm else []
        layers += [nn.LeakyReLU(), nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]
    return layers


def _halvings(channels: Sequence[int], dropout: float) -> list[nn.Module]:
    """Images of `channels[0]` channels to images of `channels[-1]`, each step half as high and wide."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
    return layers


def _halved(channels: Sequence[int], spec: DataSpec) -> tuple[int, int]:
    """Height and width after a halving for each of `channels`."""
    _, height, width = spec.shape
    most = max(power for power in range(32) if height % 2**power == 0 and width % 2**power == 0)
    if len(channels) > most:
        raise MismatchError(
            f"model.net.channels: {height}x{width} images cannot be halved {len(channels)} times; use at most {most} "
            f"for data '{spec.name}'"
        )
    return height // 2 ** len(channels), width // 2 ** len(channels)
