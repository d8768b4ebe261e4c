"""MatmulPrecision: matrices of 32 bits, multiplied with fewer where a GPU is much faster then."""

from typing import Literal

import torch
from pytorch_lightning import Callback, LightningModule, Trainer


class MatmulPrecision(Callback):
    """Say how exactly matrices of 32-bit numbers are multiplied in this run; afterwards all is as it was before.

    Args:
        precision: `"highest"` counts all bits of each number, `"high"` at least 10 (TF32, by tensor cores),
            `"medium"` at least 7 (bfloat16). Sums have 32 bits, and so have weights and gradients.

    Source:
        `torch.set_float32_matmul_precision`.
    """

    affects_training = True

    def __init__(self, *, precision: Literal["highest", "high", "medium"] = "high") -> None:
        self.precision, self._before = precision, torch.get_float32_matmul_precision()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        torch.set_float32_matmul_precision(self.precision)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        torch.set_float32_matmul_precision(self._before)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        torch.set_float32_matmul_precision(self._before)  # Lightning tears nothing down then
