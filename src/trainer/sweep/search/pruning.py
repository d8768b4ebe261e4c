"""Pruning: a trial tells the search after each validation how far it is, and ends if that is hopeless.

A search adds this callback to its jobs by itself.
"""

import logging
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from trainer.artifacts.ledger_file import LEDGER
from trainer.core.errors import Pruned

log = logging.getLogger(__name__)


class Pruning(Callback):
    """Report the metric of the search after each epoch with a validation, and end the run if the pruner says so.

    The run ends as at its last epoch, with its checkpoints written, but is not tested; its state is `pruned`. Outside a
    search, as when a pruned run is resumed by hand, it does nothing.
    """

    affects_training = False  # up to where it ends, the numbers are those of the whole run

    def __init__(self) -> None:
        self._trial: Any = None  # of the search, in the first process; None outside one
        self._pruned = False
        self._validated = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._pruned:  # it goes on by hand
            self._pruned = trainer.should_stop = False
        if trainer.is_global_zero:
            self._trial = trial_in(Path(trainer.default_root_dir))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._validated:
            return
        self._validated, ends = False, False
        if self._trial:
            value = trainer.callback_metrics.get(self._trial.metric)
            if value is not None:
                ends = self._trial.report(trainer.current_epoch + 1, float(value), trainer.max_epochs)
        self._pruned = trainer.strategy.broadcast(ends)
        trainer.should_stop = trainer.should_stop or self._pruned

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._pruned:
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            log.info(f"pruned after epoch {trainer.current_epoch}: others were better by then")
            raise Pruned({"metrics": metrics, "epochs": trainer.current_epoch, "steps": trainer.global_step})

    def state_dict(self) -> dict[str, Any]:
        return {"pruned": self._pruned}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._pruned = state_dict["pruned"]


def trial_in(run: Path) -> Any:
    """The trial of a search whose run lies in a directory; None where that is not under way."""
    if not run.name.isdecimal() or not (run.parent / LEDGER).is_file():
        return None
    from trainer.sweep.search.search import Running  # reads the ledger; a run outside a sweep need not know it

    return Running.of(run.parent, int(run.name))
