"""Pruning callback, which a search adds to its jobs."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer

from trainer.artifacts.ledger_file import is_sweep_job, retry_while_busy
from trainer.core.callback import Callback
from trainer.core.errors import Pruned

MAX_REPORT_SECONDS = 60.0

log = logging.getLogger(__name__)


class Pruning(Callback):
    """Report the metric of the search after each epoch with a validation, and end the run if the pruner says so.

    The run ends as at its last epoch, with its checkpoints written, but is not tested; its state is `pruned`. Outside a
    search, for example when a pruned run is resumed, the callback does nothing.
    """

    affects_training = False  # up to its end, a pruned run has the numbers of a complete one

    def __init__(self) -> None:
        self._trial: Any = None  # set in the first process of a search
        self._pruned = False
        self._validated = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._pruned:  # resumed by the user
            self._pruned = trainer.should_stop = False
        if trainer.is_global_zero:
            self._trial = find_running_trial(Path(trainer.default_root_dir))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._validated:
            return
        self._validated = False
        is_pruned = False
        if self._trial:
            value = trainer.callback_metrics.get(self._trial.metric)
            if value is not None:
                report = partial(self._trial.report, trainer.current_epoch + 1, float(value), trainer.max_epochs)
                is_pruned = retry_while_busy(report, MAX_REPORT_SECONDS)
        self._pruned = trainer.strategy.broadcast(is_pruned)
        trainer.should_stop = trainer.should_stop or self._pruned

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._pruned:
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            log.info(f"pruned after epoch {trainer.current_epoch}: other trials were better at this epoch")
            raise Pruned({"metrics": metrics, "epochs": trainer.current_epoch, "steps": trainer.global_step})

    def state_dict(self) -> dict[str, Any]:
        return {"pruned": self._pruned}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._pruned = state_dict["pruned"]


def find_running_trial(run: Path) -> Any:
    """Return the running trial of a search with this run directory, or None if there is none."""
    if not run.name.isdecimal() or not is_sweep_job(run):
        return None
    from trainer.sweeps.search.search import RunningTrial  # not needed by a run outside a sweep

    return RunningTrial.load(run.parent, int(run.name))
