"""Line about the examples of a run: sizes of the splits, frequencies of the classes, steps per epoch."""

import logging
import math

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from trainer.core.callback import Callback
from trainer.core.escaping import escape_control
from trainer.core.spec import DataSpec
from trainer.data.base import TensorData

MAX_NAMED_CLASSES = 4
MAX_NAMES_LENGTH = 40  # of all class names together

log = logging.getLogger(__name__)


class SplitSummary(Callback):
    """Print the examples of each split and class, and the steps per epoch, before a training."""

    affects_training = False
    skips_steps = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if parts := [*filter(None, [describe_splits(getattr(trainer, "datamodule", None)), describe_epoch(trainer)])]:
            rank_zero_only(log.info)(f"split  {'; '.join(parts)}")


def describe_splits(data: object) -> str:
    """Return the examples of each split, e.g. `train 36 (cat 20, dog 16), val 12 (6, 6)`; "" for foreign data."""
    if not isinstance(data, TensorData):
        return ""
    return ", ".join(
        f"{stage} {len(split.targets):,}{_describe_classes(data.spec, split.targets, has_names=number == 0)}"
        for number, (stage, split) in enumerate(data.splits.items())
    )


def describe_epoch(trainer: Trainer) -> str:
    """Return the number of optimizer steps of an epoch and of passes over the data, or "" if it is unknown."""
    batches = trainer.num_training_batches
    if math.isinf(batches):
        return ""
    steps = math.ceil(batches / trainer.accumulate_grad_batches)
    passes = getattr(getattr(trainer, "datamodule", None), "repeats", None) or 1
    suffix = f" ({passes} passes)" if passes > 1 else ""
    return f"{steps:,} step{'s' * (steps != 1)} per epoch{suffix}"


def _describe_classes(spec: DataSpec, targets: Tensor, *, has_names: bool) -> str:
    """Return the number of examples of each class, or the smallest and the largest one of many classes."""
    if spec.target != "classification" or targets.dim() != 1 or targets.is_floating_point():
        return ""
    counts = targets.bincount(minlength=len(spec.class_names)).tolist()
    names = [escape_control(str(name)) for name in spec.class_names]
    if len(counts) <= MAX_NAMED_CLASSES and sum(map(len, names)) <= MAX_NAMES_LENGTH and len(names) == len(counts):
        items = [f"{name} {count:,}" if has_names else f"{count:,}" for name, count in zip(names, counts, strict=True)]
        return f" ({', '.join(items)})"
    unit = " per class" if has_names else ""
    return f" ({min(counts):,} to {max(counts):,}{unit})"
