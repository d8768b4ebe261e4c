"""Detection of NaN and infinite losses and weights: stop the run with a message, or skip the step."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from trainer.core.callback import Callback
from trainer.core.errors import UserError
from trainer.data.loading.tensor_loader import TensorLoader
from trainer.training.loop.safe_points import SafePointLoop, SafePoints

log = logging.getLogger(__name__)

MAX_LISTED_EXAMPLES = 8
EVALUATION_PREFIXES = ("val", "test")  # of metrics that are not of the training
MAX_SKIP_WARNINGS = 10  # skipped steps that are reported individually


def finite_loss(*, on_nonfinite: Literal["stop", "skip"] = "stop", every_n_steps: int = 50) -> Callback:
    """Return the callback that checks the losses.

    Args:
        on_nonfinite: `"stop"` ends the run; `"skip"` skips the step without changing the weights, and continues.
        every_n_steps: Number of losses that are checked together; 1 or more. They are also checked before each save,
            and the message always names the right step. `"skip"` checks each step and ignores this.

    Raises:
        UserError: `every_n_steps` is less than 1.
    """
    if every_n_steps < 1:
        raise UserError(f"callbacks.finite_loss.every_n_steps: {every_n_steps} is less than 1")
    return SkipNonfiniteLoss() if on_nonfinite == "skip" else StopOnNonfiniteLoss(every_n_steps)


class StopOnNonfiniteLoss(Callback):
    """Stop at the first nonfinite loss, and never save a checkpoint after it or one with nonfinite weights.

    Reading a loss makes a GPU wait, so several are collected and checked together. With manual optimization the
    losses are the arguments of `manual_backward`; for a task that calls `backward` itself, its weights are checked.

    Args:
        every_n_steps: Number of losses that are checked together.
    """

    affects_training = True
    skips_steps = True  # `trainer.training.loop` need not call it after each step: it passes the losses on

    def __init__(self, every_n_steps: int) -> None:
        self.every_n_steps = every_n_steps
        self._losses: list[Tensor] = []  # of the last batches
        self._batch_losses: list[Tensor] = []  # of the current batch, with manual optimization
        self._is_manual = False
        self._boundary = SafePoints()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._losses = []
        self._batch_losses = []
        self._is_manual = not pl_module.automatic_optimization
        if self._is_manual:  # a class with this hook would be called at every step of every task
            vars(self)["on_before_backward"] = self._record_loss
        loop: Any = trainer.fit_loop.epoch_loop
        if isinstance(loop, SafePointLoop):
            self._boundary = loop.safe_points
            self._boundary.on_losses = lambda losses: self._add_losses(losses, trainer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        losses, self._batch_losses = self._batch_losses, []
        self._add_losses([torch.stack(losses).sum() if losses else extract_loss(outputs, trainer)], trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.check_losses(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.check_losses(trainer)
        require_finite_weights(trainer)

    def on_save_checkpoint(self, trainer: Trainer, *_: Any) -> None:
        self.check_losses(trainer)
        require_finite_weights(trainer)

    def _record_loss(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self._batch_losses.append(loss.detach().float())

    def _add_losses(self, losses: Sequence[Tensor], trainer: Trainer) -> None:
        self._losses.extend(losses)
        if len(self._losses) >= self.every_n_steps:
            self.check_losses(trainer)

    def check_losses(self, trainer: Trainer) -> None:
        """Check the losses since the last call.

        Raises:
            UserError: A loss is not finite; the message names step, batch, examples and the last good checkpoint.
        """
        if not self._losses:
            return
        losses = torch.hstack(self._losses).flatten()  # each has one element, of any shape
        self._losses.clear()
        indices = (~losses.isfinite()).nonzero()
        problem = None
        if len(indices):
            first = int(indices[0])
            description = describe_batch(trainer, len(losses) - first)
            problem = f"the loss is {float(losses[first])} {description}\n{format_hint(trainer)}"
        if problem := gather_first_problem(problem, trainer):
            raise UserError(problem)
        if self._is_manual:
            require_finite_weights(trainer)


class SkipNonfiniteLoss(Callback):
    """Skip each step with a nonfinite loss: weights and optimizer state do not change.

    The schedule continues, and buffers that a forward pass updates, such as batch norm statistics, keep the update.
    """

    affects_training = True

    def __init__(self) -> None:
        self.skipped = 0
        self._problem: str | None = None  # of the batches of the next step

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        problem = _format_skip(trainer, is_finite=bool(loss.isfinite()))
        self._problem = self._problem or gather_first_problem(problem, trainer)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if not self._problem and not pl_module.automatic_optimization:  # the task may have called `backward` itself
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            is_finite = not gradients or bool(sum_tensors(gradients).isfinite())
            self._problem = gather_first_problem(_format_skip(trainer, is_finite), trainer)
        if not self._problem:
            return
        optimizer.zero_grad()  # a step without gradients changes nothing
        self.skipped += 1
        if self.skipped <= MAX_SKIP_WARNINGS and trainer.is_global_zero:
            log.warning(self._problem)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        loop: Any = trainer.fit_loop.epoch_loop
        if not loop._should_accumulate():
            self._problem = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.skipped and trainer.is_global_zero:
            log.warning(f"skipped {self.skipped} step(s) with a loss that is not finite")

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped = state_dict["skipped"]


def gather_first_problem(problem: str | None, trainer: Trainer) -> str | None:
    """Return the first problem in any process of a run: gradients are averaged, so all processes must do the same."""
    if trainer.world_size == 1:
        return problem
    problems: list[str | None] = [None] * trainer.world_size
    torch.distributed.all_gather_object(problems, problem)
    return next(filter(None, problems), None)


def require_finite_weights(trainer: Trainer) -> None:
    """Raise a `UserError` if a trainable weight is not finite."""
    parameters = trainer.lightning_module.named_parameters()
    weights = {name: parameter.detach() for name, parameter in parameters if parameter.requires_grad}
    if not weights or sum_tensors(weights.values()).isfinite():
        return
    nonfinite = [name for name, weight in weights.items() if not weight.isfinite().all()]  # a sum may overflow
    if nonfinite:
        raise UserError(f"'{nonfinite[0]}' is not finite after step {trainer.global_step}\n{format_hint(trainer)}")


def sum_tensors(tensors: Iterable[Tensor]) -> Tensor:
    """Return the sum of all numbers, (): finite only if all of them are."""
    sums = [tensor.sum().double() for tensor in tensors]
    return torch.stack([value.to(sums[0].device) for value in sums]).sum()


def extract_loss(outputs: Any, trainer: Trainer) -> Tensor:
    """Return the loss of the last batch, or else the sum of the training losses that a task has logged."""
    if isinstance(outputs, Tensor):
        return outputs
    if outputs and "loss" in outputs:
        return outputs["loss"]
    metrics = trainer.callback_metrics.items()
    logged = [value for name, value in metrics if "loss" in name and not name.startswith(EVALUATION_PREFIXES)]
    return torch.stack(logged).sum() if logged else torch.zeros(())


def describe_batch(trainer: Trainer, batches_ago: int) -> str:
    """Return step, epoch and number of a batch, and the rows of its examples if they are known.

    Args:
        trainer: The trainer, during that batch or after it.
        batches_ago: Number of batches that have started since, this one included; 0 for the current batch.
    """
    loop: Any = trainer.fit_loop.epoch_loop
    started = loop.batch_progress.current.ready
    batch = started - max(1, batches_ago)
    step = trainer.global_step - (started - 1 - batch) // trainer.accumulate_grad_batches + (batches_ago == 0)
    text = f"at step {step}: epoch {trainer.current_epoch + 1}, batch {batch + 1}"
    loader = trainer.train_dataloader
    if not isinstance(loader, TensorLoader):
        return text
    rows = loader.batch_indices(batch).tolist()
    rest = f", and {len(rows) - MAX_LISTED_EXAMPLES} more" if len(rows) > MAX_LISTED_EXAMPLES else ""
    return f"{text}, examples {', '.join(map(str, rows[:MAX_LISTED_EXAMPLES]))}{rest} of the training split"


def format_hint(trainer: Trainer) -> str:
    """Return settings that may help, and the last good checkpoint."""
    last = getattr(trainer.checkpoint_callback, "last_model_path", "")
    checkpoint = f"the last good checkpoint is {last}" if last else "no checkpoint was written"
    return (
        f"  {checkpoint}; a smaller optimizer.lr, callbacks=[default,gradient_clipping] or "
        "callbacks.finite_loss.on_nonfinite=skip"
    )


def _format_skip(trainer: Trainer, is_finite: bool) -> str | None:
    return None if is_finite else f"skipped: the loss is not finite {describe_batch(trainer, 0)}"
