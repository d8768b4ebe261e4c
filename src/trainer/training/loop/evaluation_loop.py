"""LeanEvaluation: Lightning's validation and test, without the work that only long ones can hide.

Hooks, counters and numbers are Lightning's own. Source: `_EvaluationLoop` of pytorch-lightning 2.6.
"""
# Lightning gives its objects more than it declares
# mypy: disable-error-code="attr-defined"

import math
import time
from itertools import islice
from typing import Any

import torch
from lightning_fabric.utilities.data import _set_sampler_epoch
from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.exceptions import SIGTERMException

from trainer.training.loop.eval_mode import Modes, evaluate, restore
from trainer.training.loop.hook_dispatch import (
    Hooks,
    forward_context,
    needs_lightning,
    placed,
    sets_modes,
    stays_in_place,
    takes_index,
)
from trainer.training.loop.step_logging import EpochLog, lightning_logs

MOMENTS = ("start", "epoch_start", "batch_start", "batch_end", "epoch_end", "end")


class LeanEvaluation(_EvaluationLoop):
    """Takes over what a loop of Lightning's holds; where a validation or a test needs more, that one goes on.

    Args:
        loop: Of the validations of a training, of a validation by itself, or of a test.
    """

    def __init__(self, loop: _EvaluationLoop) -> None:
        vars(self).update(vars(loop))
        self.epoch_log = EpochLog(loop.trainer)
        self.name = "test" if self._trainer_fn is TrainerFn.TESTING else "validation"
        self.hooks: Hooks | None = None
        self._modes: Modes | None = None  # of all modules, before this evaluation
        self.takes_index = takes_index(getattr(loop.trainer.lightning_module, f"{self.name}_step"))

    def run(self) -> list[Any]:
        trainer = self.trainer
        self.setup_data()
        if self.skip:
            return []
        one_loader = self._combined_loader is not None and len(self._combined_loader.flattened) == 1
        goes_on = self.restarting and self._trainer_fn is TrainerFn.FITTING  # tests begin at their beginning
        if trainer.sanity_checking or goes_on or not one_loader or needs_lightning(trainer):
            return super().run()
        with torch.inference_mode() if self.inference_mode else torch.no_grad():
            self.hooks = Hooks.of_now(trainer, [f"on_{self.name}_{moment}" for moment in MOMENTS], self.hooks)
            self._run(self.hooks)
        found = [self.epoch_log.metrics]
        if self.verbose and trainer.is_global_zero:
            self._print_results(found, self._stage.value)
        return found

    def _run(self, hooks: Hooks) -> None:
        trainer, log, connector = self.trainer, self.epoch_log, self.trainer._logger_connector
        self._has_run = False
        self.on_iteration_done()  # whatever checkpoint was loaded, this is a beginning
        self.batch_progress.reset_on_run()
        self._on_evaluation_model_eval()
        log.begin()
        try:
            hooks.call(f"on_{self.name}_start")
            hooks.call(f"on_{self.name}_epoch_start")
            self._evaluate(hooks)
            connector.epoch_end_reached()
            log.publish()
            hooks.call(f"on_{self.name}_epoch_end")
            log.publish()
        finally:
            log.end()
        log.keep()
        hooks.call(f"on_{self.name}_end")
        connector.reset_results()
        hooks.state["_current_fx_name"] = None
        self._on_evaluation_model_train()
        trainer._last_val_time = time.monotonic()

    def _on_evaluation_model_eval(self) -> None:
        task = self.trainer.lightning_module
        usual = self.trainer.model is task and not sets_modes(task, self.name)
        self._modes = evaluate(task) if usual else None
        if self._modes is None:
            super()._on_evaluation_model_eval()

    def _on_evaluation_model_train(self) -> None:
        if self._modes is None:
            super()._on_evaluation_model_train()
        else:
            restore(self._modes)

    def _evaluate(self, hooks: Hooks) -> None:
        """Every batch."""
        trainer, progress, log, name = self.trainer, self.batch_progress, self.epoch_log, self.name
        assert self._combined_loader is not None
        [loader], [most] = self._combined_loader.flattened, self.max_batches
        _set_sampler_epoch(loader, trainer.fit_loop.epoch_progress.current.processed)
        in_place, step = stays_in_place(trainer, [loader]), getattr(hooks.task, f"{name}_step")
        context = forward_context(trainer, "test_step_context" if name == "test" else "val_step_context")
        for index, batch in enumerate(islice(loader, None if most == math.inf else int(most))):
            if not in_place:
                batch = placed(batch, trainer)
            progress.is_last_batch = index + 1 == most
            progress.increment_ready()
            trainer._logger_connector._first_loop_iter, log.batch = index == 0, batch
            hooks.call(f"on_{name}_batch_start", batch, index)
            progress.increment_started()
            hooks.state["_current_fx_name"] = f"{name}_step"
            with context():
                output = step(batch, *([index] if self.takes_index else []))
            progress.increment_processed()
            hooks.call(f"on_{name}_batch_end", output, batch, index)
            if lightning_logs(trainer):
                trainer._logger_connector.on_batch_end()
                trainer._logger_connector.update_eval_step_metrics(self._seen_batches_per_dataloader[0])
            progress.increment_completed()
            self._seen_batches_per_dataloader[0] += 1
            self._has_run = True
            if trainer.received_sigterm and not progress.is_last_batch:
                raise SIGTERMException
        log.batch = None
