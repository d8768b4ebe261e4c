"""LeanEvaluation: Lightning's validation within a training, without the work that only long ones can hide.

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
from pytorch_lightning import Trainer
from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop
from pytorch_lightning.utilities.exceptions import SIGTERMException
from pytorch_lightning.utilities.signature_utils import is_param_in_hook_signature

from trainer.loop.hooks import Hooks, forward_context, needs_lightning, placed, stays_in_place
from trainer.loop.log import EpochLog, StepLog

HOOKS = (
    "on_validation_start",
    "on_validation_epoch_start",
    "on_validation_batch_start",
    "on_validation_batch_end",
    "on_validation_epoch_end",
    "on_validation_end",
)


class LeanEvaluation(_EvaluationLoop):
    """Takes over what the `val_loop` of a training holds; where a validation needs more, Lightning's own goes on.

    Args:
        trainer: Whose loop it is.
        step_log: Keeps what is for the loggers.
    """

    def __init__(self, trainer: Trainer, step_log: StepLog) -> None:
        vars(self).update(vars(trainer.fit_loop.epoch_loop.val_loop))
        self.epoch_log = EpochLog(trainer, step_log)

    def run(self) -> list[Any]:
        trainer = self.trainer
        self.setup_data()
        if self.skip:
            return []
        one_loader = self._combined_loader is not None and len(self._combined_loader.flattened) == 1
        if trainer.sanity_checking or self.restarting or not one_loader or needs_lightning(trainer):
            return super().run()
        with torch.no_grad():
            self._run(Hooks(trainer, HOOKS))
        return []

    def _run(self, hooks: Hooks) -> None:
        trainer, log, connector = self.trainer, self.epoch_log, self.trainer._logger_connector
        self._has_run = False
        self.batch_progress.reset_on_run()
        self._on_evaluation_model_eval()
        log.begin()
        try:
            hooks.call("on_validation_start")
            hooks.call("on_validation_epoch_start")
            self._evaluate(hooks)
            connector.epoch_end_reached()
            log.publish()
            hooks.call("on_validation_epoch_end")
            log.publish()
        finally:
            log.end()
        log.keep()
        hooks.call("on_validation_end")
        connector.reset_results()
        hooks.state["_current_fx_name"] = None
        self._on_evaluation_model_train()
        trainer._last_val_time = time.monotonic()

    def _evaluate(self, hooks: Hooks) -> None:
        """Every batch."""
        trainer, progress, log, task = self.trainer, self.batch_progress, self.epoch_log, hooks.task
        assert self._combined_loader is not None
        [loader], [most] = self._combined_loader.flattened, self.max_batches
        _set_sampler_epoch(loader, trainer.fit_loop.epoch_progress.current.processed)
        in_place, context = stays_in_place(trainer), forward_context(trainer, "val_step_context")
        takes_index = is_param_in_hook_signature(task.validation_step, "batch_idx", min_args=2)
        for index, batch in enumerate(islice(loader, None if most == math.inf else int(most))):
            if not in_place:
                batch = placed(batch, trainer)
            progress.is_last_batch = index + 1 == most
            progress.increment_ready()
            trainer._logger_connector._first_loop_iter, log.batch = index == 0, batch
            hooks.call("on_validation_batch_start", batch, index)
            progress.increment_started()
            hooks.state["_current_fx_name"] = "validation_step"
            with context():
                output = task.validation_step(batch, *([index] if takes_index else []))
            progress.increment_processed()
            hooks.call("on_validation_batch_end", output, batch, index)
            if log.lightning_logs:
                trainer._logger_connector.on_batch_end()
                trainer._logger_connector.update_eval_step_metrics(self._seen_batches_per_dataloader[0])
            progress.increment_completed()
            self._seen_batches_per_dataloader[0] += 1
            self._has_run = True
            if trainer.received_sigterm and not progress.is_last_batch:
                raise SIGTERMException
        log.batch = None
