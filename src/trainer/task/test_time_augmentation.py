"""Test-time augmentation, which averages the outputs of a network over several views of each image."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec

ViewsName = Literal["none", "mirror", "shift", "mirror_shift"]
Network = Callable[[Tensor], Tensor]


class ViewAverage(nn.Module):
    """Network that returns the mean outputs over several views of each image.

    Args:
        net: Network that maps images (batch, channels, height, width) to outputs (batch, output_size).
        views: `"none"`: the image alone. `"mirror"`: the image and its mirror image. `"shift"`: the image and two
            shifts, by one pixel to both ends of a diagonal, with reflected border: three views, of which the one that
            is not shifted has twice the weight. `"mirror_shift"`: the mean of `"shift"` for the image and its mirror
            image, six views.

    Source:
        K. Jordan 2024, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU: `"mirror"` and `"mirror_shift"`.
    """

    def __init__(self, net: nn.Module, views: ViewsName) -> None:
        super().__init__()
        self.net = net
        self.views = views

    def forward(self, images: Tensor) -> Tensor:
        return average_views(self.net, images, self.views)


def average_views(net: Network, images: Tensor, views: ViewsName) -> Tensor:
    """Return the mean outputs (batch, output_size) of a network over views of images; see `ViewAverage`."""
    if views == "none":
        return net(images)
    evaluate = net if views == "shift" else partial(_average_mirrored, net)
    outputs = evaluate(images)
    if views == "mirror":
        return outputs
    first, second = map(evaluate, _shift(images))
    return (outputs + (first + second) / 2) / 2


def validate_views(views: ViewsName, spec: DataSpec) -> None:
    """Raise a `UserError` if the inputs of a data set have no such views."""
    if views != "none" and spec.kind != "image":
        raise UserError(
            f"model.test_time_augmentation: '{views}' needs images; data '{spec.name}' has inputs of kind {spec.kind}"
        )


def _average_mirrored(net: Network, images: Tensor) -> Tensor:
    return (net(images) + net(images.flip(3))) / 2


def _shift(images: Tensor) -> Iterator[Tensor]:
    """Yield the images shifted down and right, and up and left, by one pixel."""
    padded = F.pad(images, [1] * 4, "reflect")
    yield padded[:, :, :-2, :-2]
    yield padded[:, :, 2:, 2:]
