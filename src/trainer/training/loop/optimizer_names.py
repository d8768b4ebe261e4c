"""Names of optimizers in logged metrics."""

from collections.abc import Sequence

from pytorch_lightning import LightningModule
from torch import Tensor
from torch.optim import Optimizer


def log_by_optimizer(task: LightningModule, name: str, optimizer: Optimizer, value: Tensor) -> None:
    """Log a value of an optimizer's step; if a task has several optimizers, with the optimizer's name as a suffix."""
    suffix = find_optimizer_name(task, optimizer)
    task.log(f"{name}_{suffix}" if suffix else name, value)


def find_optimizer_name(task: LightningModule, optimizer: Optimizer) -> str | None:
    """Return the name of an optimizer: that of its network if the task defines it, or else `Adam`, `Adam-1` and so on.

    None if it is the only one.

    Args:
        task: Task; its method `get_optimizer_name` is optional.
        optimizer: One of its optimizers.
    """
    if get_name := getattr(task, "get_optimizer_name", None):
        return str(get_name(optimizer))
    if len(task.trainer.optimizers) == 1:
        return None
    names = number_duplicates([type(other).__name__ for other in task.trainer.optimizers])
    return names[task.trainer.optimizers.index(optimizer)]


def number_duplicates(names: Sequence[str]) -> list[str]:
    """Return unique names, `Adam`, `Adam-1` and so on, like Lightning's `LearningRateMonitor`."""
    counts = [names[:index].count(name) for index, name in enumerate(names)]
    return [f"{name}-{count}" if count else name for name, count in zip(names, counts, strict=True)]
