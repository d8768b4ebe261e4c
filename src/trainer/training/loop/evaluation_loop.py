"""Fast version of Lightning's validation and test loop.

Hooks, counters and metrics are the same as Lightning's. Source: `EvaluationLoop` of pytorch-lightning 2.6.
"""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined"

import math
import time
from itertools import islice
from typing import Any

import torch
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor

from trainer.core.compat import EvaluationLoop, set_sampler_epoch
from trainer.training.fused.outputs import compute_outputs_together, use_outputs
from trainer.training.loop.eval_mode import ModuleModes, restore_modes, set_eval_mode
from trainer.training.loop.hook_dispatch import (
    HookDispatcher,
    accepts_batch_index,
    forward_context,
    has_mode_hooks,
    is_batch_in_place,
    reason_lightning_required,
    transfer_batch,
)
from trainer.training.loop.step_logging import EpochLog, has_lightning_results

HOOK_SUFFIXES = ("start", "epoch_start", "batch_start", "batch_end", "epoch_end", "end")


class FastEvaluationLoop(EvaluationLoop):
    """Evaluation loop that replaces one of Lightning, and uses Lightning's code in cases that it does not cover.

    Args:
        loop: Lightning's loop of a validation or test; its attributes are taken over.
    """

    def __init__(self, loop: EvaluationLoop) -> None:
        vars(self).update(vars(loop))
        self.epoch_log = EpochLog(loop.trainer)
        self.name = "test" if self._trainer_fn is TrainerFn.TESTING else "validation"
        self.hooks: HookDispatcher | None = None
        self._modes: ModuleModes | None = None  # modes of all modules when the evaluation started
        self._outputs: list[Tensor] | None = None  # of each batch, if they are computed with those of other runs
        self.accepts_batch_index = accepts_batch_index(getattr(loop.trainer.lightning_module, f"{self.name}_step"))

    def run(self) -> list[Any]:
        trainer = self.trainer
        self.setup_data()
        if self.skip:
            return []
        has_single_loader = self._combined_loader is not None and len(self._combined_loader.flattened) == 1
        is_resumed = self.restarting and self._trainer_fn is TrainerFn.FITTING  # tests never resume
        if trainer.sanity_checking or is_resumed or not has_single_loader or reason_lightning_required(trainer):
            return super().run()
        self._outputs = compute_outputs_together(self)  # outside of the inference mode, which holds for the process
        with torch.inference_mode() if self.inference_mode else torch.no_grad():
            self.hooks = HookDispatcher.reuse_or_create(
                trainer, [f"on_{self.name}_{suffix}" for suffix in HOOK_SUFFIXES], self.hooks
            )
            self._run(self.hooks)
        results = [self.epoch_log.metrics]
        if self.verbose and trainer.is_global_zero:
            self._print_results(results, self._stage.value)
        return results

    def _run(self, hooks: HookDispatcher) -> None:
        trainer = self.trainer
        log = self.epoch_log
        connector = trainer._logger_connector
        self._has_run = False
        self.on_iteration_done()  # clears `restarting`: this evaluation starts at the first batch
        self.batch_progress.reset_on_run()
        self._on_evaluation_model_eval()
        log.install()
        try:
            hooks.call(f"on_{self.name}_start")
            hooks.call(f"on_{self.name}_epoch_start")
            self._evaluate(hooks)
            connector.epoch_end_reached()
            log.publish()
            hooks.call(f"on_{self.name}_epoch_end")
            log.publish()
        finally:
            log.remove()
        connector.log_metrics(log.metrics)
        hooks.call(f"on_{self.name}_end")
        connector.reset_results()
        hooks.state["_current_fx_name"] = None
        self._on_evaluation_model_train()
        trainer._last_val_time = time.monotonic()

    def _on_evaluation_model_eval(self) -> None:
        task = self.trainer.lightning_module
        is_default = self.trainer.model is task and not has_mode_hooks(task, self.name)
        self._modes = set_eval_mode(task) if is_default else None
        if self._modes is None:
            super()._on_evaluation_model_eval()

    def _on_evaluation_model_train(self) -> None:
        if self._modes is None:
            super()._on_evaluation_model_train()
        else:
            restore_modes(self._modes)

    def _evaluate(self, hooks: HookDispatcher) -> None:
        trainer = self.trainer
        progress = self.batch_progress
        log = self.epoch_log
        name = self.name
        assert self._combined_loader is not None
        [loader] = self._combined_loader.flattened
        [max_batches] = self.max_batches
        set_sampler_epoch(loader, trainer.fit_loop.epoch_progress.current.processed)
        in_place = is_batch_in_place(trainer, [loader])
        step = getattr(hooks.task, f"{name}_step")
        if self._outputs is not None:
            step = use_outputs(step, hooks.task, self._outputs)
        context = forward_context(trainer, "test_step_context" if name == "test" else "val_step_context")
        for index, batch in enumerate(islice(loader, None if max_batches == math.inf else int(max_batches))):
            if not in_place:
                batch = transfer_batch(batch, trainer)
            progress.is_last_batch = index + 1 == max_batches
            progress.increment_ready()
            trainer._logger_connector._first_loop_iter = index == 0
            log.batch = batch
            hooks.call(f"on_{name}_batch_start", batch, index)
            progress.increment_started()
            hooks.state["_current_fx_name"] = f"{name}_step"
            with context():
                output = step(batch, *([index] if self.accepts_batch_index else []))
            progress.increment_processed()
            hooks.call(f"on_{name}_batch_end", output, batch, index)
            if has_lightning_results(trainer):
                trainer._logger_connector.on_batch_end()
                trainer._logger_connector.update_eval_step_metrics(self._seen_batches_per_dataloader[0])
            progress.increment_completed()
            self._seen_batches_per_dataloader[0] += 1
            self._has_run = True
            if trainer.received_sigterm and not progress.is_last_batch:
                raise SIGTERMException
        log.batch = None
