"""Finite loss: a training whose loss or weights are NaN or infinite stops and says where, or leaves that step out."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from trainer.core.errors import UserError
from trainer.data.loading.tensor_loader import TensorLoader
from trainer.training.loop.safe_points import Boundary, BoundaryLoop

log = logging.getLogger(__name__)

MOST_NAMED = 8  # examples
MOST_TOLD = 10  # steps left out


def finite_loss(*, on_bad: Literal["stop", "skip"] = "stop", every_n_steps: int = 50) -> Callback:
    """What looks at the losses.

    Args:
        on_bad: `"stop"` ends the run; `"skip"` leaves the weights as they were before that step, and goes on.
        every_n_steps: How many losses are looked at together, before anything is saved at the latest; 1 or more. The
            message names the right step all the same. Skipping looks at each before its step, whatever this says.

    Raises:
        UserError: `every_n_steps` is less than 1.
    """
    if every_n_steps < 1:
        raise UserError(f"callbacks.finite_loss.every_n_steps: {every_n_steps} is less than 1")
    return SkipBadLoss() if on_bad == "skip" else StopAtBadLoss(every_n_steps)


class StopAtBadLoss(Callback):
    """Stop at the first loss that is not finite; no checkpoint is written after it, nor one of weights that are not.

    A look at a loss makes a GPU wait, and takes longer than adding it to a list. So many are looked at together.

    The losses of a task with manual optimization are those that it calls `manual_backward` with. If it calls `backward`
    itself, its weights are looked at instead.

    Args:
        every_n_steps: How many.
    """

    affects_training = True
    skips_steps = (
        True  # `trainer.training.loop` need not call it at each step: it hands over the losses of those it left out
    )

    def __init__(self, every_n_steps: int) -> None:
        self.every_n_steps = every_n_steps
        self._losses: list[Tensor] = []  # of the last batches
        self._noted: list[Tensor] = []  # of the batch under way, with manual optimization
        self._manual = False
        self._boundary = Boundary()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._losses, self._noted = [], []
        self._manual = not pl_module.automatic_optimization
        if self._manual:  # a class with this hook would be called at every step of every task
            vars(self)["on_before_backward"] = self._note
        loop: Any = trainer.fit_loop.epoch_loop
        if isinstance(loop, BoundaryLoop):
            self._boundary = loop.boundary
            self._boundary.see_losses = lambda losses: self._see(losses, trainer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        noted, self._noted = self._noted, []
        self._see([torch.stack(noted).sum() if noted else loss_of(outputs, trainer)], trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.look(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.look(trainer)
        check_weights(trainer)

    def on_save_checkpoint(self, trainer: Trainer, *_: Any) -> None:
        self.look(trainer)
        check_weights(trainer)

    def _note(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self._noted.append(loss.detach().float())

    def _see(self, losses: Sequence[Tensor], trainer: Trainer) -> None:
        self._losses.extend(losses)
        if len(self._losses) >= self.every_n_steps:
            self.look(trainer)

    def look(self, trainer: Trainer) -> None:
        """Look at the losses since the last time.

        Raises:
            UserError: One is not finite; names step, batch, examples and the last good checkpoint.
        """
        if not self._losses:
            return
        losses = torch.hstack(self._losses).flatten()  # one element each, of any shape
        self._losses.clear()
        bad = (~losses.isfinite()).nonzero()
        own = None
        if len(bad):
            back = len(losses) - int(bad[0])  # batches, the bad one included
            own = f"the loss is {float(losses[int(bad[0])])} {place(trainer, back)}\n{advice(trainer)}"
        if problem := first_of_all(own, trainer):
            raise UserError(problem)
        if self._manual:
            check_weights(trainer)


class SkipBadLoss(Callback):
    """Leave out each step with a loss that is not finite: weights and the optimizer's states stay as they were.

    The schedule goes on, and so does what the network itself keeps in a forward pass, such as batch norm's means.
    """

    affects_training = True

    def __init__(self) -> None:
        self.skipped = 0
        self._problem: str | None = None  # of the batches of the next step

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        problem = None if bool(loss.isfinite()) else f"left out: the loss is not finite {place(trainer, 0)}"
        self._problem = self._problem or first_of_all(problem, trainer)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if not self._problem and not pl_module.automatic_optimization:  # it may have called `backward` itself
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            is_finite = not gradients or bool(sum_of(gradients).isfinite())
            own = None if is_finite else f"left out: the loss is not finite {place(trainer, 0)}"
            self._problem = first_of_all(own, trainer)
        if not self._problem:
            return
        optimizer.zero_grad()  # a step without gradients changes nothing
        self.skipped += 1
        if self.skipped <= MOST_TOLD and trainer.is_global_zero:
            log.warning(self._problem)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        loop: Any = trainer.fit_loop.epoch_loop
        if not loop._should_accumulate():
            self._problem = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.skipped and trainer.is_global_zero:
            log.warning(f"{self.skipped} step(s) with a loss that is not finite were left out")

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped = state_dict["skipped"]


def first_of_all(problem: str | None, trainer: Trainer) -> str | None:
    """Return the first problem in any process of a run: their gradients are put together, so all must do the same."""
    if trainer.world_size == 1:
        return problem
    problems: list[str | None] = [None] * trainer.world_size
    torch.distributed.all_gather_object(problems, problem)
    return next(filter(None, problems), None)


def check_weights(trainer: Trainer) -> None:
    """Raise a `UserError` if a weight that learns is not finite; names it, and the last good checkpoint."""
    weights = {name: one.detach() for name, one in trainer.lightning_module.named_parameters() if one.requires_grad}
    if not weights or sum_of(weights.values()).isfinite():
        return
    bad = [name for name, weight in weights.items() if not weight.isfinite().all()]  # a sum may overflow
    if bad:
        raise UserError(f"'{bad[0]}' is not finite after step {trainer.global_step}\n{advice(trainer)}")


def sum_of(tensors: Iterable[Tensor]) -> Tensor:
    """Return the sum of all numbers, (): finite only if all of them are."""
    sums = [tensor.sum().double() for tensor in tensors]
    return torch.stack([each.to(sums[0].device) for each in sums]).sum()


def loss_of(outputs: Any, trainer: Trainer) -> Tensor:
    """The loss of the last batch; of a task with several optimizers, the sum of those that it has logged."""
    if isinstance(outputs, Tensor):
        return outputs
    if outputs and "loss" in outputs:
        return outputs["loss"]
    logged = [value for name, value in trainer._logger_connector._callback_metrics.items() if _is_loss(name)]
    return torch.stack(logged).sum() if logged else torch.zeros(())


def place(trainer: Trainer, back: int) -> str:
    """Where in the training a batch is: step, epoch, batch, and the rows of its examples where they are known.

    Args:
        trainer: After that batch, or in it.
        back: How many batches ago it began; 0 for the one under way.
    """
    loop: Any = trainer.fit_loop.epoch_loop
    begun = loop.batch_progress.current.ready
    batch = begun - max(1, back)
    step = trainer.global_step - (begun - 1 - batch) // trainer.accumulate_grad_batches + (back == 0)
    text = f"at step {step}: epoch {trainer.current_epoch + 1}, batch {batch + 1}"
    loader = trainer.train_dataloader
    if not isinstance(loader, TensorLoader):
        return text
    rows = loader.rows_of(batch).tolist()
    more = f", and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    return f"{text}, examples {', '.join(map(str, rows[:MOST_NAMED]))}{more} of the training split"


def advice(trainer: Trainer) -> str:
    """What a user may do, and what there is to go on from."""
    keeper: Any = trainer.checkpoint_callback
    last = getattr(keeper, "last_model_path", "")
    there = f"the last good checkpoint is {last}" if last else "no checkpoint had been written"
    return (
        f"  {there}; a smaller optimizer.lr, callbacks=[default,gradient_clipping] or callbacks.finite_loss.on_bad=skip"
    )


def _is_loss(name: str) -> bool:
    return name.startswith("train/") and name.endswith("loss")
