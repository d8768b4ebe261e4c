"""Where the examples of a split are held: on the GPU that trains, if there is room and batches can be made there."""

import logging
from typing import Any

import torch
from pytorch_lightning import Trainer
from torch import Tensor

from trainer.data.loading.split import Split
from trainer.data.loading.tensor_loader import TensorLoader

SHARE = 0.25  # of a GPU's free memory that the examples of one split may take

log = logging.getLogger(__name__)


def loader_near(split: Split, trainer: Trainer | None, **how: Any) -> TensorLoader:
    """A loader of examples that holds them as near to the network as can be: on the GPU that trains, or in memory.

    Texts stay in memory: to cut each batch to its longest one, a GPU would have to be waited for. So do examples that
    would take too much of its memory, or whose batches cannot be made there, as a `prepare` or an `augment` of a
    user's own may know of the CPU alone; of these two a line in the log says so.

    Args:
        split: The examples, in memory.
        trainer: Says which of how many processes this is, and where its network is; None where nothing is trained.
        how: Further arguments of `TensorLoader`.
    """

    def loader(inputs: Tensor, targets: Tensor, device: torch.device | str = "cpu") -> TensorLoader:
        return TensorLoader(inputs, targets, device=device, **how)

    if trainer is None:
        return loader(*split)
    how |= {"rank": trainer.global_rank, "world_size": trainer.world_size}
    wanted = trainer.strategy.root_device
    if wanted.type == "mps" and split.targets.dtype == torch.float64:
        split = split._replace(targets=split.targets.float())  # Apple's GPUs have no float64
    if wanted.type != "cuda" or how["lengths"] is not None:
        return loader(*split)
    size, free = sum(part.numel() * part.element_size() for part in split), torch.cuda.mem_get_info(wanted)[0]
    if size > SHARE * free:
        reason = f"they take {size / 2**20:,.0f} MiB, and {free / 2**20:,.0f} MiB are free there"
    else:
        try:
            next(iter(loader(split.inputs[:1], split.targets[:1], wanted)))
        except (RuntimeError, TypeError) as error:
            reason = f"their batches cannot be made there: {str(error).splitlines()[0]}"
        else:
            return loader(*split, wanted)
    log.info("examples stay in memory and go to the GPU batch by batch: %s", reason)
    return loader(*split)
