"""Residual networks of torchvision with random or pretrained weights."""

import logging
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from trainer.core.errors import UserError, did_you_mean
from trainer.core.spec import DataSpec
from trainer.model.layers.memory_format import to_channels_last
from trainer.model.pretrained import is_weight_loading_skipped, load_weights, read_weights

log = logging.getLogger(__name__)

Depth = Literal[10, 18, 34, 50, 101, 152]
Stem = Literal["auto", "imagenet", "small", "full"]

# blocks in each of the four layers; a block has two convolutions, or three (bottleneck) from depth 50 on
BLOCKS_PER_LAYER: dict[Depth, list[int]] = {
    10: [1, 1, 1, 1],
    18: [2, 2, 2, 2],
    34: [3, 4, 6, 3],
    50: [3, 4, 6, 3],
    101: [3, 4, 23, 3],
    152: [3, 8, 36, 3],
}
TORCHVISION_WIDTH = 64
SMALL_IMAGE_PIXELS = 64  # with the ImageNet stem the last layer has fewer than 2x2 pixels of smaller images


class ResNet(nn.Module):
    """Residual network for images, with parts named as in torchvision: conv1, bn1, layer1 to layer4, fc.

    The batch norm statistics of frozen parts do not change either.

    Args:
        spec: Specification of the data set: images.
        depth: Number of layers with weights.
        width: Channels of the first layer. Weights of torchvision have 64; half the width is a quarter of the work.
        stem: Layers before the first block. `"imagenet"`: 7x7 convolution of stride 2 and pooling, which reduce the
            image side to a quarter; `"small"`: 3x3 convolution of stride 2, to a half; `"full"`: 3x3 convolution of
            stride 1, for four times the work of `"small"`; `"auto"`: `"small"` for images below 64 pixels, else
            `"imagenet"`.
        weights: `"imagenet"` (torchvision), the path of a weights file or a checkpoint, or a run directory, whose best
            checkpoint is used. None uses random weights.
        trainable: `"all"`, `"head"` (only the new `fc`), or names of parts, e.g. `[layer4, fc]`.

    Raises:
        UserError: The weights are not available or do not fit, or a name in `trainable` is unknown.

    Source:
        He et al. 2016, Deep residual learning for image recognition.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        depth: Depth = 18,
        width: int = 64,
        stem: Stem = "auto",
        weights: str | None = None,
        trainable: Literal["all", "head"] | Sequence[str] = "all",
    ) -> None:
        super().__init__()
        spec.require("resnet", "image")
        if width < 1:
            raise UserError("model.net.width: must be at least 1")
        if stem == "auto":
            stem = "small" if min(spec.shape[1:]) < SMALL_IMAGE_PIXELS else "imagenet"
        self.stem = stem
        self._build_layers(spec, depth, width)
        self.to(memory_format=torch.channels_last)  # convolutions on the CPU run faster
        # not for shape checks, and not before a checkpoint is loaded
        if not self.conv1.weight.is_meta and not is_weight_loading_skipped():
            log.info("model  resnet: depth %d, width %d, stem %s", depth, width, stem)
            if weights is not None:
                log.info("model  resnet: %s", load_weights(self, read_weights(weights, depth), weights))
        self._freeze(trainable)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the outputs.

        Shapes:
            images: (batch, channels, height, width)
            returns: (batch, output_size)
        """
        images = to_channels_last(images)
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))  # (batch, width, height / 4, width / 4)
        features = self.layer2(self.layer1(features))  # half the side after each layer but the first
        features = self.layer4(self.layer3(features))  # (batch, 8 width, ...), with bottlenecks 32 width
        return self.fc(self.avgpool(features).flatten(1))  # (batch, output_size)

    def train(self, mode: bool = True) -> "ResNet":
        """Set the mode; frozen parts stay in evaluation mode, so that batch norm statistics do not change."""
        super().train(mode)
        for module in self.modules():
            parameters = [*module.parameters(recurse=False)]
            if parameters and not any(parameter.requires_grad for parameter in parameters):
                module.training = False
        return self

    def _build_layers(self, spec: DataSpec, depth: Depth, width: int) -> None:
        """Add the parts of torchvision's network, with a stem and an output layer for the data."""
        from torchvision.models import resnet  # a slow import that only this network needs

        block = resnet.BasicBlock if depth < 50 else resnet.Bottleneck
        net = resnet.ResNet(block, BLOCKS_PER_LAYER[depth])
        if width != TORCHVISION_WIDTH:
            net.inplanes = width
            for index, count in enumerate(BLOCKS_PER_LAYER[depth]):
                layer = net._make_layer(block, width * 2**index, count, stride=min(index + 1, 2))
                setattr(net, f"layer{index + 1}", layer)
        large = self.stem == "imagenet"
        kernel_size = 7 if large else 3
        stride = 1 if self.stem == "full" else 2
        self.conv1 = nn.Conv2d(spec.shape[0], width, kernel_size, stride, kernel_size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = net.relu
        self.maxpool = net.maxpool if large else nn.Identity()
        self.layer1 = net.layer1
        self.layer2 = net.layer2
        self.layer3 = net.layer3
        self.layer4 = net.layer4
        self.avgpool = net.avgpool
        self.fc = nn.Linear(8 * width * block.expansion, spec.output_size)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")  # as in torchvision

    def _freeze(self, trainable: Literal["all", "head"] | Sequence[str]) -> None:
        """Freeze all other parts."""
        if trainable == "all":
            return
        parts = dict(self.named_modules())
        self.requires_grad_(False)
        for name in ["fc"] if trainable == "head" else trainable:
            if name not in parts or not name:
                hint = did_you_mean(name, [*parts]) or did_you_mean(name, [part for part, _ in self.named_children()])
                raise UserError(f"model.net.trainable: the network has no part '{name}'{hint}")
            parts[name].requires_grad_(True)
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise UserError(f"model.net.trainable: {trainable} leaves no trainable parameter; use head or all")
        self.train()
