"""Constants of a network that depend on the training examples, such as frequencies of words."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

from torch import nn

from trainer.core.errors import UserError
from trainer.core.spec import Batch


@runtime_checkable
class SupportsStatistics(Protocol):
    """Network with constants of the training examples, which it stores in its buffers."""

    def compute_statistics(self, batches: Iterable[Batch]) -> None:
        """Compute the constants.

        Args:
            batches: All training examples, in a fixed order and without augmentation.
        """


def compute_statistics(net: nn.Module, data: Any) -> None:
    """Let a network compute its constants before the first step, if it has any.

    Args:
        net: Network.
        data: Data module after its setup.

    Raises:
        UserError: The network reads the training examples, and the data module has no `training_batches`.
    """
    if isinstance(net, SupportsStatistics):
        net.compute_statistics(_iter_training_batches(net, data))


def _iter_training_batches(net: nn.Module, data: Any) -> Iterator[Batch]:
    if not hasattr(data, "training_batches"):
        raise UserError(
            f"data: {type(net).__name__} computes numbers of the training examples before the first step, but "
            f"{type(data).__name__} has no method `training_batches`\n  "
            "derive it from trainer.TensorData, or add this method, which yields inputs and targets"
        )
    yield from data.training_batches()
