"""Placement of stored examples on the training GPU, or in main memory if they do not fit."""

import logging
from typing import Any

import torch
from pytorch_lightning import Trainer
from torch import Tensor

from trainer.data.loading.split import Split
from trainer.data.loading.tensor_loader import TensorLoader

MAX_GPU_MEMORY_FRACTION = 0.25  # of a GPU's free memory, for the examples of one split

log = logging.getLogger(__name__)


def make_loader(split: Split, trainer: Trainer | None, **options: Any) -> TensorLoader:
    """Return a loader that stores the examples on the training GPU if possible, else in main memory.

    Texts stay in memory, because cutting each batch to its longest text would synchronize with the GPU. Examples that
    are too large, or whose batches cannot be made on the GPU, stay in memory, too; the reason is logged.

    Args:
        split: Examples in main memory.
        trainer: Trainer with the rank and the device; None without a training.
        options: Further arguments of `TensorLoader`.
    """

    def loader(inputs: Tensor, targets: Tensor, device: torch.device | str = "cpu") -> TensorLoader:
        return TensorLoader(inputs, targets, device=device, **options)

    if trainer is None:
        return loader(*split)
    options |= {"rank": trainer.global_rank, "world_size": trainer.world_size}
    device = trainer.strategy.root_device
    if device.type == "mps" and split.targets.dtype == torch.float64:
        split = split._replace(targets=split.targets.float())  # Apple's GPUs have no float64
    if device.type != "cuda" or options["lengths"] is not None:
        return loader(*split)
    size = sum(tensor.numel() * tensor.element_size() for tensor in split)
    free, _ = torch.cuda.mem_get_info(device)
    if size > MAX_GPU_MEMORY_FRACTION * free:
        reason = f"they take {size / 2**20:,.0f} MiB, and {free / 2**20:,.0f} MiB are free there"
    else:
        try:
            next(iter(loader(split.inputs[:1], split.targets[:1], device)))  # `prepare` may support only the CPU
        except (RuntimeError, TypeError) as error:
            reason = f"their batches cannot be created there: {str(error).splitlines()[0]}"
        else:
            return loader(*split, device)
    log.info("examples stay in memory and are copied to the GPU batch by batch: %s", reason)
    return loader(*split)
