"""Mean of the weights after the last epochs."""
# Lightning objects have attributes that are not declared
# mypy: disable-error-code="attr-defined"

from itertools import islice
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.utilities.seed import isolate_rng
from torch import nn
from torch.nn import SyncBatchNorm
from torch.optim.swa_utils import get_swa_multi_avg_fn, update_bn

from trainer.core.errors import UserError
from trainer.data.loading.second_pass import iter_second_pass
from trainer.training.loop.hook_dispatch import transfer_batch

CONFIG_KEY = "callbacks.swa"
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, SyncBatchNorm)


class SWA(WeightAveraging):
    """Stochastic weight averaging: the mean of the weights after each epoch, from an epoch on.

    The mean is updated before the validation of an epoch, and is validated, saved and tested. If the network has batch
    norms, their statistics are computed for it by a pass over the training examples of the epoch. Before the first
    update, the weights themselves are validated and saved. The schedule is that of the config: a constant rate is
    usual.

    Args:
        start_epoch: Number of epochs before the first one that is averaged, or fraction of all epochs. Defaults to
            0.75.

    Raises:
        UserError: The start is out of range. In the training: the statistics cannot be computed.

    Source:
        Izmailov et al. 2018, Averaging weights leads to wider optima and better generalization, algorithm 1.
    """

    affects_training = True
    skips_steps = True  # only the last step of an epoch matters

    def __init__(self, *, start_epoch: int | float = 0.75) -> None:
        average: Any = get_swa_multi_avg_fn()  # type: ignore[no-untyped-call]
        super().__init__(use_buffers=False, multi_avg_fn=average)
        if start_epoch < 0 or (isinstance(start_epoch, float) and start_epoch >= 1):
            problem = f"{start_epoch} is neither a number of epochs nor a fraction below 1"
            raise UserError(f"{CONFIG_KEY}.start_epoch: {problem}")
        self.start_epoch = start_epoch
        self._first_epoch = 0  # index of the first epoch that is averaged

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage != "fit":
            return
        self._first_epoch = int(self.start_epoch)
        if isinstance(self.start_epoch, float):
            if trainer.max_epochs in (None, -1):
                problem = "a fraction needs trainer.max_epochs"
                raise UserError(f"{CONFIG_KEY}.start_epoch: {problem}; expected a number of epochs")
            self._first_epoch = int(self.start_epoch * trainer.max_epochs)
        if trainer.world_size > 1 and _list_batch_norms(pl_module):
            raise UserError(f"{CONFIG_KEY}: batch norms only work in a single process; set trainer.devices=1")

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.is_last_batch and trainer.current_epoch >= self._first_epoch:
            assert self._average_model
            self._average_model.update_parameters(pl_module)
            if _list_batch_norms(pl_module):
                self._update_batch_norms(trainer, self._average_model.module)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return False  # Lightning would update the average after the validation

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._has_average:
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._has_average:
            super().on_validation_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._has_average:
            super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if self._average_model and not self._has_average:
            checkpoint["state_dict"] = checkpoint["current_model_state"]

    @property
    def _has_average(self) -> bool:
        return self._average_model is not None and bool(self._average_model.n_averaged)

    def _update_batch_norms(self, trainer: Trainer, module: Any) -> None:
        """Compute the statistics of the batch norms of a module."""
        loader: Any = trainer.train_dataloader
        limit = trainer.num_training_batches
        batches = islice(iter_second_pass(loader), None if limit == float("inf") else int(limit))
        with isolate_rng(), trainer.precision_plugin.forward_context():
            update_bn((transfer_batch(batch, trainer) for batch in batches), module)
        for part in _list_batch_norms(module):
            if part.num_batches_tracked == 0:
                raise UserError(f"{CONFIG_KEY}: forward() of {type(module).__name__} does not use all batch norms")


def _list_batch_norms(module: nn.Module) -> list[Any]:
    """Return the batch norms of a module that have statistics."""
    return [part for part in module.modules() if isinstance(part, BATCH_NORMS) and part.track_running_stats]
