"""Several trained networks as one."""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.core.spec import DataSpec

Averaged = Literal["probabilities", "outputs"]


class Ensemble(nn.Module):
    """Networks whose predictions are averaged; `trainer ensemble` writes a checkpoint of them.

    Args:
        spec: Specification of the data set.
        members: Networks, or factories that receive the spec, by name.
        averaged: `"probabilities"`: the outputs are logits of the mean probabilities. `"outputs"`: the outputs are
            means, for values and for scores that are not probabilities.

    Attributes:
        temperature: Number by which logits are divided, (); 1 unless the ensemble is calibrated. It is in checkpoints.

    Source:
        Lakshminarayanan et al. 2017, Simple and scalable predictive uncertainty estimation using deep ensembles.
        Guo et al. 2017, On calibration of modern neural networks, section 4.2 (temperature).
    """

    temperature: Tensor

    def __init__(
        self, spec: DataSpec, *, members: Mapping[str, nn.Module | Callable[[DataSpec], nn.Module]], averaged: Averaged
    ) -> None:
        super().__init__()
        nets = {name: net if isinstance(net, nn.Module) else net(spec) for name, net in members.items()}
        self.members = nn.ModuleDict(nets)
        self.averaged = averaged
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the outputs.

        Shapes:
            inputs: (batch, *spec.shape)
            returns: (batch, output_size)
        """
        outputs = torch.stack([member(inputs) for member in self.members.values()])  # (members, batch, output_size)
        if self.averaged == "outputs":
            return outputs.mean(0)
        return average_probabilities(outputs) / self.temperature


def average_probabilities(logits: Tensor) -> Tensor:
    """Return logits of the mean probabilities, without rounding small probabilities to 0.

    Shapes:
        logits: (members, batch, classes), or (members, batch, 1) for the second of two classes
        returns: (batch, classes), or (batch, 1)
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # with 16 bits, probabilities would be rounded
    if logits.shape[2] == 1:  # log(p / (1 - p)) for sums of p and of 1 - p
        return F.logsigmoid(logits).logsumexp(0) - F.logsigmoid(-logits).logsumexp(0)
    return logits.log_softmax(2).logsumexp(0)
