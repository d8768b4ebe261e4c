"""Follow: counters, hooks and logs, after many steps were made in one call."""
# Lightning gives its objects more than it declares
# mypy: disable-error-code="attr-defined"

from typing import Any

from torch import Tensor

LeanStep = Any  # of trainer.loop.steps, which imports this


def follow(lean: LeanStep, batches: tuple[Tensor, Tensor], losses: Tensor, rates: list[list[float]]) -> bool:
    """Count steps that were made in one call; hooks and logs see those that are logged, and the last.

    Args:
        lean: Whose steps they were.
        batches: What they were made with, at least two: (steps, batch, ...) of each.
        losses: As logged, one for each.
        rates: Of each step, for each group of weights.
    """
    loop, progress = lean.loop, lean.loop.batch_progress
    optimizer = loop.automatic_optimization.optim_progress.optimizer
    groups, last = lean.trainer.optimizers[0].param_groups, len(losses) - 1
    after, first = [group["lr"] for group in groups], loop._batches_that_stepped
    every = lean.trainer.log_every_n_steps or last + 2
    lean.trainer._logger_connector._first_loop_iter = False
    due, counted = False, 0
    loop.boundary.in_one_call = True
    lean.log.latest.clear()  # what plain steps alone can log, such as their gradients' norm
    lean.state["log"] = lean.log.note
    try:
        for place in (*range((-first - 1) % every, last, every), last):
            batch = (batches[0][place], batches[1][place])
            loop._batches_that_stepped = first + place
            is_last_batch = place == last and lean.fetcher.done
            progress.increment_by(place - counted, is_last_batch)
            index, lean.log.batch = progress.current.ready, batch
            _set_rates(groups, rates[place])
            lean.call("on_train_batch_start", batch, index)
            _set_rates(groups, after)
            progress.increment_by(1, is_last_batch)
            optimizer.zero_grad.increment_by(place + 1 - counted)
            optimizer.step.increment_by(place + 1 - counted)
            counted = place + 1
            lean.task.log("train/loss", losses[place], prog_bar=True)
            if is_last_batch:
                loop.update_lr_schedulers("epoch", update_plateau_schedulers=False)
            lean.call("on_train_batch_end", {"loss": losses[place]}, batch, index)
            due = lean.conclude(index)
    finally:
        del lean.state["log"]
        loop.boundary.in_one_call = False
    if loop.boundary.see_losses:
        loop.boundary.see_losses([losses])
    return due


def _set_rates(groups: list[dict[str, Any]], rates: list[float]) -> None:
    for group, rate in zip(groups, rates, strict=True):
        group["lr"] = rate
