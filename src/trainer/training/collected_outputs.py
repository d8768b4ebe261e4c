"""Outputs of a network for all test examples."""

import hashlib
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from trainer.core.callback import Callback
from trainer.core.precision import widen_floats
from trainer.core.spec import Batch
from trainer.data import spec_check
from trainer.data.base import TensorData
from trainer.task.objective import Objective
from trainer.task.objective_lookup import find_objective

MAX_OUTPUTS = 50_000_000  # numbers that are kept in memory: 200 MB


class CollectedOutputs(Callback):
    """Collect outputs and targets of a test."""

    affects_training = False
    skips_steps = True

    def __init__(self) -> None:
        self.objective: Objective | None = None
        self.problem = ""  # why the outputs are not known
        self._batches: list[tuple[Tensor, Tensor]] = []
        self._size = 0
        self._digest = hashlib.sha256()
        self._hashes_batches = True

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._batches = []
        self._size = 0
        self.problem = "the test has several processes" if trainer.world_size > 1 else ""
        checksum = read_test_checksum(trainer.datamodule)  # type: ignore[attr-defined]
        self._hashes_batches = checksum is None
        self._digest = hashlib.sha256((checksum or "").encode())

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.objective = find_objective(pl_module, outputs, batch)
        self._size += outputs.numel() if self.objective else 0
        if self.objective is None:
            self.problem = "the task returns no outputs of an objective"
        elif dataloader_idx:
            self.problem = "there are several test loaders"
        elif self._size > MAX_OUTPUTS:
            self.problem = f"there are more than {MAX_OUTPUTS:,} outputs"
        if self.problem:
            self._batches = []
            return
        self._batches.append((outputs.detach(), batch[1]))
        if self._hashes_batches:
            self._add_to_digest(batch)

    @property
    def checksum(self) -> str:
        """Return a checksum of the test examples in their order."""
        return self._digest.hexdigest()

    def collect(self) -> tuple[Tensor, Tensor]:
        """Return outputs (examples, output_size) and targets of all examples, on the CPU.

        Numbers have at least 32 bits, also if the network computes with 16.
        """
        outputs, targets = (widen_floats(torch.cat(parts).cpu()) for parts in zip(*self._batches, strict=True))
        return outputs, targets

    @property
    def is_complete(self) -> bool:
        """Return whether a test has provided outputs."""
        return bool(self._batches) and not self.problem

    def _add_to_digest(self, batch: Batch) -> None:
        for tensor in batch:
            array = tensor.detach().cpu().contiguous()
            self._digest.update(f"{array.dtype} {tuple(array.shape[1:])}".encode())
            self._digest.update(array.flatten().view(torch.uint8).numpy().data)


def read_test_checksum(data: Any) -> str | None:
    """Return the checksum of the stored test examples of a data set, None if it has none.

    Unlike that of batches, it does not depend on how the inputs are prepared.
    """
    cls = type(data)
    is_stored = isinstance(data, TensorData) and cls.read is TensorData.read and "test" in data.splits
    if not is_stored or cls.test_dataloader is not TensorData.test_dataloader:
        return None
    return spec_check.checksum({"test": data.splits["test"]})
