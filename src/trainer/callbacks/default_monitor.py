"""Choice of the monitored metric if a LightningModule does not log the default one."""

import logging
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from trainer.config.monitors import DEFAULT_MONITOR, find_validation_loss

log = logging.getLogger(__name__)


class DefaultMonitorCheckpoint(ModelCheckpoint):
    """Checkpoint callback whose default monitor `val/loss` is replaced if it is not logged.

    The validation loss under another usual name replaces it, such as `val_loss`. Without one, the last epoch is kept.
    """

    affects_training = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._state_key = super().state_key  # the same after the monitor was replaced

    @property
    def state_key(self) -> str:
        return self._state_key

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        if self.monitor == DEFAULT_MONITOR:
            self.monitor = state_dict["monitor"]

    def _monitor_candidates(self, trainer: Trainer) -> dict[str, Tensor]:
        """Return the same metrics as Lightning, but without a deep copy: they are never changed in place."""
        metrics = dict(trainer.callback_metrics)
        for name, value in {"epoch": trainer.current_epoch, "step": trainer.global_step}.items():
            logged = metrics.get(name)
            metrics[name] = torch.tensor(value) if logged is None else logged.int()
        return metrics

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._replace_missing_monitor(trainer)
        super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.enable_validation:
            self._replace_missing_monitor(trainer)
        super().on_train_epoch_end(trainer, pl_module)

    def _replace_missing_monitor(self, trainer: Trainer) -> None:
        if self.monitor != DEFAULT_MONITOR or DEFAULT_MONITOR in trainer.callback_metrics:
            return
        self.monitor = find_validation_loss(trainer.callback_metrics)
        if self.monitor:
            log.info(f"best epoch by '{self.monitor}', as '{DEFAULT_MONITOR}' is not logged")
        else:
            key = "callbacks.checkpoint.monitor"
            log.warning(f"warning: {key}: '{DEFAULT_MONITOR}' is not logged, so the last epoch is kept")
