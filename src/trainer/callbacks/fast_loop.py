"""Installation of the fast loops, which give the same results as Lightning's with less overhead per step."""

import os
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from torch.utils import deterministic

from trainer.core.callback import Callback
from trainer.core.compat import is_tested, warn_if_untested
from trainer.training.loop.evaluation_loop import FastEvaluationLoop
from trainer.training.loop.step_logging import redirect_callback_logs
from trainer.training.loop.training_loop import FastTrainingLoop

DISTRIBUTIONS = ("torch", "pytorch-lightning", "torchmetrics")  # whose internals the fast loop uses


class FastLoop(Callback):
    """Run the steps with `trainer.training.loop` and write logged values in batches. Without it Lightning's loop runs.

    With `trainer.deterministic` PyTorch fills uninitialized memory with NaN, which takes up to a twentieth of a pass;
    this is disabled during the run. The fast loop uses internals of PyTorch and Lightning, so it is disabled, with a
    warning, for versions that were not tested.
    """

    affects_training = True

    def __init__(self) -> None:
        self._fill_uninitialized = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if not is_tested(*DISTRIBUTIONS):
            warn_if_untested("the fast loop", *DISTRIBUTIONS)
            return
        deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        redirect_callback_logs(trainer)
        if stage == "fit":
            trainer.fit_loop.epoch_loop = FastTrainingLoop(trainer)
            trainer.fit_loop.epoch_loop.step_log.install()
            # Lightning sets it for processes that fork later; with it each step of Adam loads NVML to count GPUs
            os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
        elif stage == "validate":
            trainer.validate_loop = FastEvaluationLoop(trainer.validate_loop)
        elif stage == "test":
            trainer.test_loop = FastEvaluationLoop(trainer.test_loop)

    def on_exception(self, trainer: Trainer, *_: Any) -> None:
        self._end(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._end(trainer)

    def _end(self, trainer: Trainer) -> None:
        deterministic.fill_uninitialized_memory = self._fill_uninitialized  # type: ignore[attr-defined]
        loop = trainer.fit_loop.epoch_loop
        if isinstance(loop, FastTrainingLoop):
            loop.step_log.remove()
