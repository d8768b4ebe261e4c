"""Test-time augmentation, which averages the outputs of a network over several views of each image."""

from collections.abc import Callable, Iterator
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec

ViewsName = Literal["none", "mirror", "mirror_shift"]
Network = Callable[[Tensor], Tensor]


class ViewAverage(nn.Module):
    """Network that returns the mean outputs over several views of each image.

    Args:
        net: Network that maps images (batch, channels, height, width) to outputs (batch, output_size).
        views: `"none"`: the image alone. `"mirror"`: the image and its mirror image. `"mirror_shift"`: the mean of
            `"mirror"` and of `"mirror"` for two shifts, by one pixel along both diagonal directions, with reflected
            border: six views, of which those that are not shifted have twice the weight.

    Source:
        K. Jordan 2024, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU: both sets of views, with these weights.
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
    outputs = _average_mirrored(net, images)
    if views == "mirror_shift":
        first, second = (_average_mirrored(net, shifted) for shifted in _shift(images))
        outputs = (outputs + (first + second) / 2) / 2
    return outputs


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
