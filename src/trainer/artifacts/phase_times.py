"""Time of training, validation and test."""

import time
from typing import Any

from pytorch_lightning import LightningModule, Trainer

from trainer.core.callback import Callback


class PhaseTimes(Callback):
    """Measure the seconds of each phase; those of the training are without validations.

    The time of the other callbacks is part of the phase in which they are called.
    """

    affects_training = False
    skips_steps = True

    def __init__(self) -> None:
        self._starts: dict[str, float] = {}
        self._seconds: dict[str, float] = {}

    def describe(self) -> dict[str, Any]:
        """Return the entry of `result.json`."""
        return {"phase_seconds": {phase: round(seconds, 3) for phase, seconds in self._seconds.items()}}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start("training")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop("training")
        self._seconds["training"] -= self._seconds.get("validation", 0.0)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start("validation")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._stop("validation")

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start("test")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop("test")

    def _start(self, phase: str) -> None:
        self._starts[phase] = time.perf_counter()

    def _stop(self, phase: str) -> None:
        self._seconds[phase] = self._seconds.get(phase, 0.0) + time.perf_counter() - self._starts[phase]
