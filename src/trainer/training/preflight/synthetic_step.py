"""Training step on a synthetic batch, for data sets whose batches are known from their spec."""

import inspect
import logging
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from trainer.config.diagnostics import Diagnostic
from trainer.core.errors import UserError, first_line
from trainer.core.spec import Batch, DataSpec
from trainer.data.base import TensorData
from trainer.task.adversarial import Adversarial
from trainer.training.preflight.output_activation import OutputCheck
from trainer.training.preflight.synthetic_batch import make_synthetic_batch

log = logging.getLogger(__name__)

MAX_SINGLE_TEXT_TOKENS = 1024  # length of a single text in an additional forward pass
MAX_REAL_STEP_WEIGHTS = 2_000_000  # weights of a step on real tensors: about 20 ms; the meta device loads sympy, 500 ms
MAX_FALLBACK_WEIGHTS = 20_000_000  # weights of a step on real tensors after a failure on the meta device: 200 ms
# errors of a step that a run may not have: out of memory; a task that uses its trainer
IGNORED_ERRORS = ("alloc", "not attached to a `Trainer`")


def run_synthetic_step(
    task: LightningModule, data: TensorData, examples: int, rebuild: Callable[[], LightningModule]
) -> list[Diagnostic] | None:
    """Run a step; return its warnings, or None if it could not be completed.

    Args:
        task: Task on the meta device; the step of a large network runs there.
        data: Data module that the batch is made for.
        examples: Batch size.
        rebuild: Function that builds the task with real tensors.

    Raises:
        UserError: The step fails.
    """
    weights = sum(weight.numel() for weight in task.parameters())
    if weights > MAX_REAL_STEP_WEIGHTS:
        try:
            with torch.device("meta"):
                return _run_step(task, data, examples)
        except UserError:
            raise
        except Exception as error:  # the step uses values, or is invalid: real tensors show it
            if weights > MAX_FALLBACK_WEIGHTS:
                log.debug("a step on the meta device: %s", error)
                return None
    real_task = rebuild()
    try:
        return _run_step(real_task, data, examples)
    except (RuntimeError, ValueError, IndexError) as error:
        if any(text in str(error) for text in IGNORED_ERRORS) or isinstance(error, torch.OutOfMemoryError):
            return None
        raise UserError(f"model.net: a step on data '{data.spec.name}' fails: {first_line(error)}") from error


def _run_step(task: Any, data: TensorData, examples: int) -> list[Diagnostic]:
    spec: DataSpec = data.spec
    check = OutputCheck(task, spec, data.standardize_target)
    with task.net.register_forward_hook(check) if check.applies else nullcontext():
        _forward_and_backward(task, _make_batch(task, data, examples))
    if check.applies and spec.kind == "tokens" and not torch.zeros(0).is_meta:
        with torch.no_grad():  # a long text; on the meta device recurrent networks take seconds for it
            task.net.eval()(make_synthetic_batch(spec, 1, MAX_SINGLE_TEXT_TOKENS)[0])
    return check.warnings()


def _make_batch(task: Any, data: TensorData, examples: int) -> Batch:
    """Return a batch with the kind of targets that the training has."""
    batch = make_synthetic_batch(data.spec, examples)
    if not data.augmentation.batch_steps:
        return batch
    if isinstance(task, Adversarial):
        raise UserError("data.augmentation: mixup and cutmix need a task that learns classes, not model=gan")
    return data.mix(*batch, np.random.default_rng(0))


def _forward_and_backward(task: Any, batch: Batch) -> None:
    """Run a step; with manual optimization a validation step, and a backward pass of each loss that it logs."""
    logged: list[Any] = []
    task.log = lambda name, value, *_, **__: logged.append(value)
    step = task.training_step if task.automatic_optimization else task.validation_step
    loss = step(*(batch, 0)[: len(inspect.signature(step).parameters)])  # the batch index is optional
    loss = loss["loss"] if isinstance(loss, dict) else loss
    for value in [loss] if isinstance(loss, Tensor) else logged:
        if isinstance(value, Tensor) and value.requires_grad:
            torch.autograd.backward(value, retain_graph=True)
