"""LeanSteps: short steps without Lightning's tax on each; numbers, hooks and logged values stay the same."""

import os
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch.utils import deterministic

from trainer.training.loop.evaluation_loop import LeanEvaluation
from trainer.training.loop.step_logging import log_through_task
from trainer.training.loop.training_loop import LeanLoop


class LeanSteps(Callback):
    """Run the steps by `trainer.training.loop` and write logged values in bundles; without it Lightning's loop runs.

    With `trainer.deterministic` PyTorch also fills memory that it takes with NaN, in case somebody reads what nobody
    has written. That takes up to a twentieth of a pass, and is left out meanwhile.
    """

    affects_training = True

    def __init__(self) -> None:
        self._fills = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        log_through_task(trainer)
        if stage == "fit":
            trainer.fit_loop.epoch_loop = LeanLoop(trainer)
            trainer.fit_loop.epoch_loop.step_log.begin()
            # Lightning sets it for processes that are yet to fork; with it each step of Adam loads NVML to count GPUs
            os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
        elif stage == "validate":
            trainer.validate_loop = LeanEvaluation(trainer.validate_loop)
        elif stage == "test":
            trainer.test_loop = LeanEvaluation(trainer.test_loop)

    def on_exception(self, trainer: Trainer, *_: Any) -> None:
        self._end(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._end(trainer)

    def _end(self, trainer: Trainer) -> None:
        deterministic.fill_uninitialized_memory = self._fills  # type: ignore[attr-defined]
        loop = trainer.fit_loop.epoch_loop
        if isinstance(loop, LeanLoop):
            loop.step_log.end()
