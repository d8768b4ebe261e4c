"""Outputs of a run's network in a validation or test, computed together with those of other runs."""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined"

import math
from collections.abc import Callable, Sequence
from typing import Any

from pytorch_lightning import Callback
from torch import Tensor, nn

from trainer.core.callback import has_hook
from trainer.task.supervised import Supervised
from trainer.training.fused.batches import count_examples
from trainer.training.fused.current import current_member
from trainer.training.fused.structure import is_in_memory
from trainer.training.fused.work import EvaluationWork, FusionError, Request
from trainer.training.loop.eligibility import has_module_hooks


def compute_outputs_together(loop: Any) -> list[Tensor] | None:
    """Return the outputs for each batch; None if there is no group, or the run must compute them itself.

    Args:
        loop: Evaluation loop that is about to start.
    """
    member = current_member()
    if member is None:
        return None
    task = loop.trainer.lightning_module
    [loader] = loop._combined_loader.flattened
    [max_batches] = loop.max_batches
    is_complete = max_batches == math.inf or max_batches >= len(loader)
    is_supported = type(task) is Supervised and is_in_memory(loader) and is_complete
    if not (member.evaluates_together and is_supported):
        return None
    if any(_can_change_weights(callback, loop.name) for callback in loop.trainer.callbacks):
        return None
    loader.start_epoch()  # so that the sizes are those of all batches
    key = (loop.name, tuple(count_examples(loader, len(loader))))
    request = Request(key, member.structure, loop.trainer.global_step, EvaluationWork(task, loader))
    try:
        outputs: list[Tensor] = member.compute(request)
    except FusionError:
        member.evaluates_together = False
        return None
    return outputs


def _can_change_weights(callback: Any, name: str) -> bool:
    """Return whether a callback that is not one of this package has a hook before the batches of an evaluation."""
    hooks = [f"on_{name}_{suffix}" for suffix in ("start", "epoch_start", "batch_start")]
    is_own = type(callback).__module__.startswith("trainer.")
    return not is_own and any(has_hook(callback, hook, Callback) for hook in hooks)


def use_outputs(step: Callable[..., Any], task: nn.Module, outputs: Sequence[Tensor]) -> Callable[..., Any]:
    """Return a validation or test step in which the task returns the outputs of each batch instead of computing them.

    It computes them if callbacks have added hooks to the network, such as those that collect features.

    Args:
        step: Step of the task.
        task: The task.
        outputs: Outputs of each batch.
    """
    remaining = iter(outputs)

    def step_with_outputs(*arguments: Any) -> Any:
        output = next(remaining)
        if has_module_hooks(task):
            return step(*arguments)
        vars(task)["forward"] = lambda inputs: output
        try:
            return step(*arguments)
        finally:
            vars(task).pop("forward")

    return step_with_outputs
