"""Warning if the last operation of a network restricts its outputs, such as a softmax before a loss of logits."""

import re
from typing import Any

import torch
from torch import Tensor, nn

from trainer.config.diagnostics import Diagnostic
from trainer.core.spec import DataSpec
from trainer.model.ensemble import Ensemble
from trainer.task.objective import ClassificationObjective, RegressionObjective
from trainer.task.supervised import Supervised
from trainer.training.preflight.unused_settings import get_original_class

# operations whose results are a subset of the real numbers, by the name of their gradient node
LIMITING_OPERATIONS = {
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
# operations that change shape, strides or type, but no values
SHAPE_OPERATIONS = (
    "View|UnsafeView|ReshapeAlias|Squeeze|Unsqueeze|Select|Slice|Transpose|T|Permute|Expand|Clone|Alias|ToCopy"
)
SUM_TOLERANCE = 1e-4  # for sums of probabilities


class OutputCheck:
    """Forward hook of a network that finds its last operation.

    Args:
        task: Task of the network.
        spec: Spec of the data.
        standardized: Whether regression targets are standardized.
    """

    def __init__(self, task: Any, spec: DataSpec, standardized: bool) -> None:
        self.spec = spec
        self.standardized = standardized
        self.objective: Any = getattr(task, "objective", None)
        # outputs may have another meaning for other tasks and losses; those of ensembles are always logits
        is_checked = isinstance(task, Supervised) and not isinstance(task.net, Ensemble)
        self.applies = is_checked and get_original_class(self.objective) in (
            ClassificationObjective,
            RegressionObjective,
        )
        self.activation = ""

    def __call__(self, net: nn.Module, inputs: Any, outputs: Any) -> None:
        """Store the last operation of a forward pass."""
        if isinstance(outputs, Tensor):
            self.activation = find_output_activation(outputs)

    def warnings(self) -> list[Diagnostic]:
        """Return a warning if the last operation of the network does not suit the loss."""
        if not self.activation:
            return []
        is_harmful = self.standardized if self.spec.target == "regression" else self.objective.distance is None
        if not is_harmful:
            return []
        function = "sigmoid" if self.spec.output_size == 1 else "softmax"
        reason = f"the loss takes logits and applies a {function} itself"
        hint = "return the values before it"
        if self.spec.target == "regression":
            reason = "standardized targets have any sign and size"
            hint += ", or data.standardize_target=false"
        problem = f"its last operation is a {self.activation}, but {reason}"
        return [Diagnostic("model.net", problem, hint, is_error=False)]


def find_output_activation(outputs: Tensor) -> str:
    """Return the name of the last operation if it restricts its results; "" if it does not or is unknown."""
    node: Any = outputs.grad_fn
    while node is not None:
        name = re.sub(r"Backward\d*$", "", type(node).__name__)
        if not re.fullmatch(SHAPE_OPERATIONS, name):
            break
        node = node.next_functions[0][0] if node.next_functions else None
    if node is not None and name in LIMITING_OPERATIONS:
        return LIMITING_OPERATIONS[name]
    if outputs.is_meta or outputs.dim() != 2 or outputs.shape[1] < 2:
        return ""
    values = outputs.detach().float()
    ones = torch.ones(len(values))
    if (values >= 0).all() and torch.allclose(values.sum(1), ones, atol=SUM_TOLERANCE):
        return "softmax"
    return "log-softmax" if torch.allclose(values.exp().sum(1), ones, atol=SUM_TOLERANCE) else ""
