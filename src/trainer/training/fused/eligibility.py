"""Conditions under which the steps of a run can be computed together with those of other runs."""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined"

from typing import Any

from pytorch_lightning import LightningModule
from pytorch_lightning.callbacks import WeightAveraging

from trainer.core.callback import has_hook, is_user_code
from trainer.training.fused.structure import MIXING_REASON, is_in_memory, reason_not_fusable
from trainer.training.loop.eligibility import (
    reason_device_not_traceable,
    reason_hooks_required,
    reason_optimizer_not_traceable,
    reason_rates_not_traceable,
)
from trainer.training.loop.traced_steps import reason_pass_not_traceable

FastStep = Any  # trainer.training.loop.training_loop.FastStep; that module imports this one


def reason_to_train_alone(step: FastStep) -> str | None:
    """Return the reason why the steps of a run cannot be computed together with those of others, or None."""
    trainer = step.trainer
    loaders = step.fetcher.combined_loader.flattened
    if reason := reason_not_fusable(step.task) or reason_hooks_required(trainer, step.hooks):
        return reason
    if reason := reason_device_not_traceable(trainer) or reason_rates_not_traceable(trainer):
        return reason
    if reason := reason_optimizer_not_traceable(trainer.optimizers[0]):
        return reason
    reasons = {
        "a callback averages the weights": any(isinstance(part, WeightAveraging) for part in trainer.callbacks),
        "the optimizer has several parameter groups": len(trainer.optimizers[0].param_groups) != 1,
        "the data are not tensors in memory": len(loaders) != 1 or not is_in_memory(loaders[0]),
        MIXING_REASON: getattr(loaders[0], "mix", None) is not None,
        "the task overrides lr_scheduler_step": has_hook(step.task, "lr_scheduler_step", LightningModule),
        "a schedule is not advanced at every step": any(
            config.interval == "step" and (config.frequency != 1 or config.reduce_on_plateau)
            for config in trainer.lr_scheduler_configs
        ),
        "a callback of the user has hooks in a step": any(
            is_user_code(callback) for callbacks in step.hooks.callbacks.values() for callback in callbacks
        ),
        "batches are not read by the training loop": step.cycle is None or not step.in_place,
    }
    return next((reason for reason, applies in reasons.items() if applies), None) or reason_pass_not_traceable(trainer)
