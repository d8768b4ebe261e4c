"""Structure of networks and data, which must be equal in runs whose steps are computed together."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from trainer.data.loading.tensor_loader import TensorLoader
from trainer.task.supervised import Supervised

MIXING_REASON = "mixup and cutmix in data.augmentation combine the examples of a batch"


def describe_structure(task: Any) -> str:
    """Return modules, shapes and kind of objective of a task; everything but numbers that may differ between runs."""
    objective = task.objective
    modules = [(type(module).__qualname__, *_plain_attributes(module)) for module in task.net.modules()]
    weights = [(tuple(weight.shape), weight.requires_grad) for weight in task.net.parameters()]
    kind = (type(objective).__qualname__, getattr(objective, "distance", None), objective.target_scale is None)
    return repr([modules, weights, kind])


def reason_not_fusable(task: Any) -> str | None:
    """Return the reason why the network of a task cannot be computed together with others, or None."""
    if type(task) is not Supervised:
        return f"{type(task).__name__} is not trainer.task.supervised.Supervised"
    if task.test_time_augmentation != "none":
        return "model.test_time_augmentation computes several outputs of each example"
    recurrent = sorted({type(module).__name__ for module in task.net.modules() if isinstance(module, nn.RNNBase)})
    return f"PyTorch cannot batch recurrent layers: {', '.join(recurrent)}" if recurrent else None


def has_convolutions(net: nn.Module) -> bool:
    """Return whether a network has convolutions; on a CPU, several are slower together than alone."""
    return any(isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) for module in net.modules())


def is_in_memory(loader: Any) -> bool:
    """Return whether a loader has all examples as tensors, with batches of the same shapes in each run."""
    return type(loader) is TensorLoader and loader.read is None and loader.lengths is None and loader.world_size == 1


def _plain_attributes(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of a module that are plain values, except its mode and the probability of dropout."""
    ignored = {"training", "p"} if isinstance(module, nn.Dropout) else {"training"}
    for name, value in vars(module).items():
        if isinstance(value, int | float | str | tuple) and name not in ignored:
            yield name, value
