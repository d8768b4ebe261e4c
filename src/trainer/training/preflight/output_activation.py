"""Warning of a last operation that limits a network's outputs, found in the rehearsal."""

import re
from typing import Any

import torch
from torch import Tensor, nn

from trainer.config.diagnostics import Mistake
from trainer.core.spec import DataSpec
from trainer.task.objective import ClassObjective, ValueObjective
from trainer.task.supervised import Supervised
from trainer.training.preflight.unused_settings import kind_of

# operations whose results are less than any number, by the name of their gradient
LIMITING = {
    "Softmax": "softmax",
    "LogSoftmax": "log-softmax",
    "Sigmoid": "sigmoid",
    "LogSigmoid": "log-sigmoid",
    "Tanh": "tanh",
    "Relu": "ReLU",
    "Elu": "ELU",
    "Gelu": "GELU",
    "Silu": "SiLU",
    "Softplus": "softplus",
    "Hardtanh": "hardtanh",
    "Clamp": "clamp",
    "Exp": "exponential",
    "Abs": "absolute value",
}
# operations that change shape, place or type, and no number
PLAIN = "View|UnsafeView|ReshapeAlias|Squeeze|Unsqueeze|Select|Slice|Transpose|T|Permute|Expand|Clone|Alias|ToCopy"
NEAR = 1e-4  # of sums of probabilities


class OutputCheck:
    """Forward hook of a network that notes how its outputs are limited.

    Args:
        task: The network's task.
        spec: The data set's promise.
        standardized: Whether the targets are values that are standardized.
    """

    def __init__(self, task: Any, spec: DataSpec, standardized: bool) -> None:
        self.spec = spec
        self.standardized = standardized
        self.objective: Any = getattr(task, "objective", None)
        # another task or loss may give outputs another meaning
        self.applies = isinstance(task, Supervised) and kind_of(self.objective) in (ClassObjective, ValueObjective)
        self.limit = ""

    def __call__(self, net: nn.Module, inputs: Any, outputs: Any) -> None:
        """Note the last operation of a forward pass."""
        if isinstance(outputs, Tensor):
            self.limit = limit_of(outputs)

    def warnings(self) -> list[Mistake]:
        """Return a warning if the last operation of the network does not suit the loss."""
        if not self.limit:
            return []
        own = "sigmoid" if self.spec.output_size == 1 else "softmax"
        needs = f"the loss takes logits and applies a {own} itself"
        instead = "return what goes into it"
        harms = self.objective.distance is None
        if self.spec.target == "values":
            needs = "standardized targets have any sign and size"
            instead += ", or data.standardize_target=false"
            harms = self.standardized
        warning = Mistake("model.net", f"its last operation is a {self.limit}, but {needs}", instead, stops=False)
        return [warning] if harms else []


def limit_of(outputs: Tensor) -> str:
    """Return the name of the last operation if it limits its results; "" if it does not, or cannot be told."""
    node: Any = outputs.grad_fn
    while node is not None:
        name = re.sub(r"Backward\d*$", "", type(node).__name__)
        if not re.fullmatch(PLAIN, name):
            break
        node = node.next_functions[0][0] if node.next_functions else None
    if node is not None and name in LIMITING:
        return LIMITING[name]
    if outputs.is_meta or outputs.dim() != 2 or outputs.shape[1] < 2:
        return ""
    numbers = outputs.detach().float()
    one = torch.ones(len(numbers))
    if (numbers >= 0).all() and torch.allclose(numbers.sum(1), one, atol=NEAR):
        return "softmax"
    return "log-softmax" if torch.allclose(numbers.exp().sum(1), one, atol=NEAR) else ""
