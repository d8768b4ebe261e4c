"""Checkpoint: Lightning's, which also keeps the last epoch, and does not write more often than once a second."""
# Lightning gives its objects more than it declares
# mypy: disable-error-code="attr-defined"

import time
from copy import deepcopy
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor

SECONDS_BETWEEN_WRITES = 1.0


class Checkpoint(ModelCheckpoint):
    """Keep the best by `monitor`, and the last epoch; takes the arguments of Lightning's `ModelCheckpoint`.

    Epochs may take a few milliseconds, and a file takes as long. So what is to be kept is held in memory until a second
    has passed since the file was written; when the training ends, however it ends, what is held is written. The last
    epoch's file is written at most once a second, and at the end. (Lightning writes the last one only together with a
    best one, so that a training that goes on from it would begin at the best epoch.)
    """

    _held: dict[str, dict[str, Any]] | None = None  # checkpoints by path; None until the training is set up

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        self._held = {}
        self._written: dict[str, float] = {}  # when each path was
        self._last_step = -1  # that the last one was written at

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        if self._last_step != trainer.global_step and not trainer.fast_dev_run:
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.write(trainer)
        if not trainer.fast_dev_run:  # anew even if it was just written: a finished training is told from a broken one
            super()._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.write(trainer)
        super().on_exception(trainer, pl_module, exception)

    def write(self, trainer: Trainer) -> None:
        """Write what is held."""
        held, self._held = self._held, {}
        for path, checkpoint in (held or {}).items():
            trainer.strategy.save_checkpoint(checkpoint, path)

    def _monitor_candidates(self, trainer: Trainer) -> dict[str, Tensor]:
        """What Lightning says, without a deep copy of each number: none of them is ever changed in place."""
        metrics = dict(trainer.callback_metrics)
        for name, value in {"epoch": trainer.current_epoch, "step": trainer.global_step}.items():
            logged = metrics.get(name)
            metrics[name] = torch.tensor(value) if logged is None else logged.int()
        return metrics

    def _save_last_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, Any]) -> None:
        if not self._is_recent(self.last_model_path):
            super()._save_last_checkpoint(trainer, monitor_candidates)
            self._last_step = trainer.global_step

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        assert self._held is not None
        alone = type(trainer.strategy) is SingleDeviceStrategy
        if not alone or filepath == self.last_model_path or not self._is_recent(filepath):
            self._held.pop(filepath, None)
            super()._save_checkpoint(trainer, filepath)
            self._written[filepath] = time.monotonic()
            return
        self._held[filepath] = deepcopy(trainer._checkpoint_connector.dump_checkpoint(self.save_weights_only))
        self._last_global_step_saved, self._last_checkpoint_saved = trainer.global_step, filepath

    def _remove_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        held = self._held.pop(filepath, None) if self._held else None
        if held is None or filepath in self._written:
            super()._remove_checkpoint(trainer, filepath)

    def _is_recent(self, path: str) -> bool:
        return time.monotonic() - self._written.get(path, float("-inf")) < SECONDS_BETWEEN_WRITES
