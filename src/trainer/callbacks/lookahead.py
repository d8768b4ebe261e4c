"""Lookahead, which moves slow weights towards the weights of the optimizer every few steps."""

from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn

from trainer.core.errors import UserError

CONFIG_KEY = "callbacks.lookahead"


class Lookahead(WeightAveraging):
    """Every few steps, move slow weights a part of the way to the weights, and continue the training from there.

    The slow weights are validated, saved and tested. Buffers, such as the statistics of batch norms, are those of the
    last move. The state of the optimizer is kept.

    Args:
        every_n_steps: Steps of the optimizer from one move to the next; at least 1. The paper's k. Defaults to 5.
        alpha: Part of the way, in (0, 1]. Defaults to 0.5.

    Raises:
        UserError: An argument is out of range.

    Source:
        Zhang et al. 2019, Lookahead optimizer: k steps forward, 1 step back, algorithm 1.
    """

    affects_training = True

    def __init__(self, *, every_n_steps: int = 5, alpha: float = 0.5) -> None:
        if every_n_steps < 1:
            raise UserError(f"{CONFIG_KEY}.every_n_steps: {every_n_steps} is not at least 1")
        if not 0 < alpha <= 1:
            raise UserError(f"{CONFIG_KEY}.alpha: {alpha} is not in (0, 1]")
        average: Any = get_ema_multi_avg_fn(decay=1 - alpha)  # type: ignore[no-untyped-call]
        super().__init__(use_buffers=False, multi_avg_fn=average)
        self.every_n_steps = every_n_steps

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            assert self._average_model
            self._average_model.n_averaged.fill_(1)  # the slow weights start as the initial ones

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return step_idx is not None and (step_idx + 1) % self.every_n_steps == 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        previous = self._latest_update_step
        super().on_train_batch_end(trainer, pl_module, *args)
        if self._latest_update_step != previous:
            self._copy_average_to_current(pl_module)
