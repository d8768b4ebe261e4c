"""Precision of float32 matrix products on GPUs."""

from typing import Literal

import torch
from pytorch_lightning import LightningModule, Trainer

from trainer.core.callback import Callback


class MatmulPrecision(Callback):
    """Set the precision of float32 matrix products during a run.

    Args:
        precision: `"highest"` uses all bits of each factor, `"high"` at least 10 (TF32, on tensor cores), `"medium"`
            at least 7 (bfloat16). Sums, weights and gradients have 32 bits.

    Source:
        `torch.set_float32_matmul_precision`.
    """

    affects_training = True

    def __init__(self, *, precision: Literal["highest", "high", "medium"] = "high") -> None:
        self.precision = precision
        self._previous = torch.get_float32_matmul_precision()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        torch.set_float32_matmul_precision(self.precision)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        torch.set_float32_matmul_precision(self._previous)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        torch.set_float32_matmul_precision(self._previous)  # Lightning does not call teardown then
