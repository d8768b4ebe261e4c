"""ResNet: torchvision's residual networks, sized by the data, from random weights or from trained ones."""

import logging
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from trainer.core.errors import UserError, did_you_mean
from trainer.core.optional_packages import install_command
from trainer.core.spec import DataSpec
from trainer.model.pretrained import are_given_later, load, read

log = logging.getLogger(__name__)

Depth = Literal[10, 18, 34, 50, 101, 152]
Stem = Literal["auto", "imagenet", "small", "full"]

# blocks in each of the four layers; from 50 on a block is a bottleneck of three convolutions, below it has two
BLOCKS: dict[Depth, list[int]] = {
    10: [1, 1, 1, 1],
    18: [2, 2, 2, 2],
    34: [3, 4, 6, 3],
    50: [3, 4, 6, 3],
    101: [3, 4, 23, 3],
    152: [3, 8, 36, 3],
}
WIDTH = 64  # torchvision's
SMALL = 64  # pixels; ImageNet's stem would leave fewer than 2x2 of a smaller image for the last layer


class ResNet(nn.Module):
    """Residual network for images, its parts named as torchvision names them: conv1, bn1, layer1 to layer4, fc.

    Parts that are frozen do not move at all: their batch norms keep the statistics that they came with, too.

    Args:
        spec: The data set's promise: images, grey or in colour.
        depth: Number of layers with weights.
        width: Channels of the first layer; trained weights of torchvision have 64, and half of it is a quarter of
            the work.
        stem: What comes before the first layer. `"imagenet"`: 7x7 convolution of stride 2 and pooling, which leave a
            quarter of an image's side; `"small"`: 3x3 convolution of stride 2, half; `"full"`: of stride 1, all of
            it, for four times the work of `"small"`; `"auto"`: `"small"` for images below 64 pixels.
        weights: `"imagenet"`, torchvision's; the path of a file of weights, or of a checkpoint; or the directory of
            one of our runs, whose best checkpoint is taken. None begins with random weights.
        trainable: `"all"`; `"head"`, the new `fc` alone; or names of parts, such as `[layer4, fc]`.

    Raises:
        UserError: The weights are not to be had or do not fit, or `trainable` names no part.

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
            stem = "small" if min(spec.shape[1:]) < SMALL else "imagenet"
        self.stem = stem
        self._lay(spec, depth, width)
        self.to(memory_format=torch.channels_last)  # convolutions on the CPU run faster
        # where only shapes are looked at, or a checkpoint is loaded, nothing is read and nothing said
        if not self.conv1.weight.is_meta and not are_given_later():
            log.info("model  resnet: depth %d, width %d, stem %s", depth, width, stem)
            if weights is not None:
                log.info("model  resnet: %s", load(self, read(weights, depth), weights))
        self._freeze(trainable)

    def forward(self, images: Tensor) -> Tensor:
        """Read images.

        Shapes:
            images: (batch, channels, height, width)
            returns: (batch, output_size)
        """
        images = images.contiguous(memory_format=torch.channels_last)
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))  # (batch, width, height / 4, width / 4)
        features = self.layer2(self.layer1(features))  # half the side after each layer but the first
        features = self.layer4(self.layer3(features))  # (batch, 8 width, ...), with bottlenecks 32 width
        return self.fc(self.avgpool(features).flatten(1))  # (batch, output_size)

    def train(self, mode: bool = True) -> "ResNet":
        """Switch to training, all but the frozen parts: batch norms would move their statistics."""
        super().train(mode)
        for module in self.modules():
            own = [*module.parameters(recurse=False)]
            if own and not any(parameter.requires_grad for parameter in own):
                module.training = False
        return self

    def _lay(self, spec: DataSpec, depth: Depth, width: int) -> None:
        """Take over the parts of torchvision's network, with a stem and an output for these data."""
        try:
            from torchvision.models import resnet  # takes a second to import, and only this network needs it
        except ImportError as error:
            raise UserError(f"model.net: ResNets need torchvision; install it: {install_command('vision')}") from error

        block = resnet.BasicBlock if depth < 50 else resnet.Bottleneck
        net = resnet.ResNet(block, BLOCKS[depth])
        if width != WIDTH:
            net.inplanes = width
            for number, count in enumerate(BLOCKS[depth]):
                made = net._make_layer(block, width * 2**number, count, stride=min(number + 1, 2))
                setattr(net, f"layer{number + 1}", made)
        large = self.stem == "imagenet"
        kernel_size, stride = (7 if large else 3), (1 if self.stem == "full" else 2)
        self.conv1 = nn.Conv2d(spec.shape[0], width, kernel_size, stride, kernel_size // 2, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(width), net.relu
        self.maxpool = net.maxpool if large else nn.Identity()
        self.layer1, self.layer2, self.layer3, self.layer4 = net.layer1, net.layer2, net.layer3, net.layer4
        self.avgpool = net.avgpool
        self.fc = nn.Linear(8 * width * block.expansion, spec.output_size)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")  # as torchvision has it

    def _freeze(self, trainable: Literal["all", "head"] | Sequence[str]) -> None:
        """Let only these parts train."""
        if trainable == "all":
            return
        parts = dict(self.named_modules())
        self.requires_grad_(False)
        for name in ["fc"] if trainable == "head" else trainable:
            if name not in parts or not name:
                near = did_you_mean(name, [*parts]) or did_you_mean(name, [part for part, _ in self.named_children()])
                raise UserError(f"model.net.trainable: the network has no part '{name}'{near}")
            parts[name].requires_grad_(True)
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise UserError(f"model.net.trainable: {trainable} leaves nothing that could learn; use head or all")
        self.train()
