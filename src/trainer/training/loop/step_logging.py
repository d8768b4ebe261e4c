"""StepLog: what steps log, noted without Lightning's work for each call, and handed to the loggers in bundles."""

import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.utilities.data import extract_batch_size
from torch import Tensor
from torch.optim import Optimizer

SECONDS_BETWEEN_WRITES = 1.0
# arguments of `LightningModule.log` that ask for nothing; `sync_dist` never does, as there is one process
NOTHING = {"logger": None, "on_step": None, "on_epoch": None, "reduce_fx": "mean", "enable_graph": False}
NOTHING |= {"sync_dist_group": None, "add_dataloader_idx": True, "metric_attribute": None, "rank_zero_only": False}

Row = dict[str, Any]


@runtime_checkable
class LogsRows(Protocol):
    """A logger that takes many rows at once."""

    def log_rows(self, rows: Sequence[tuple[int, Row]]) -> None:
        """Log these numbers by name, each row at its step."""
        ...


class StepLog:
    """Stands in for `LightningModule.log` within a step, and for the trainer's way to its loggers.

    Metrics, callbacks and loggers get the values that Lightning gives them, for the same steps. Loggers get them up
    to `SECONDS_BETWEEN_WRITES` later, many at a time: one flush of a file, and on a GPU no wait at every step.

    Args:
        trainer: Whose loggers these are.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.connector = trainer, trainer._logger_connector
        self.latest: Row = {}  # of this epoch, by name
        self.batch: Any = None  # of this step
        self._rows: list[tuple[int, Row]] = []
        self._written = time.monotonic()

    def begin(self) -> None:
        """From now on the trainer's values for loggers are kept, and written now and then."""
        vars(self.connector)["log_metrics"] = self.keep

    def end(self) -> None:
        """Write what is left; then values go to the loggers at once again."""
        vars(self.connector).pop("log_metrics", None)
        self.write()

    def note(self, name: str, value: Any, prog_bar: bool = False, sync_dist: bool = False, **how: Any) -> None:
        """What `self.log(name, value)` does within a step; whatever asks for more than that is left to Lightning."""
        if not asks_for_nothing(how) or not is_number(value):
            leave_to_lightning(self.trainer, self.batch, name, value, prog_bar=prog_bar, sync_dist=sync_dist, **how)
            return
        held = as_tensor(value, self.trainer)
        self.latest[name] = self.connector._callback_metrics[name] = self.connector._logged_metrics[name] = held
        if prog_bar:
            self.connector._progress_bar_metrics[name] = held  # type: ignore[assignment]  # bars format it like a float

    def keep_step(self, due: bool) -> None:
        """At the end of a step: keep what is known of it for the loggers, if it is one that they are to have."""
        if lightning_logs(self.trainer):
            self.connector.on_batch_end()
        if due:
            own = self.connector.metrics["log"] if lightning_logs(self.trainer) else {}
            self.keep({name: value.clone() for name, value in self.latest.items()} | own)
        self.batch = None

    def keep(self, metrics: Row, step: int | None = None) -> None:
        """What the trainer's own way to its loggers does, save that they get the values later."""
        if not self.trainer.loggers or not metrics:
            return
        self.connector._logged_metrics.update(metrics)
        row = dict(metrics)
        if step is None and "step" in row:
            step = int(row.pop("step"))
        elif step is None:
            row.setdefault("epoch", self.trainer.current_epoch)
            step = self.trainer.fit_loop.epoch_loop._batches_that_stepped
        self._rows.append((step, row))
        if time.monotonic() - self._written > SECONDS_BETWEEN_WRITES:
            self.write()

    def write(self) -> None:
        """Hand what was kept to the loggers."""
        rows, self._rows, self._written = self._rows, [], time.monotonic()
        if not rows:
            return
        plain = [
            (step, {name: value.item() if isinstance(value, Tensor) else value for name, value in row.items()})
            for step, row in rows
        ]
        for logger in self.trainer.loggers:
            if isinstance(logger, LogsRows):
                logger.log_rows(plain)
            else:
                for step, row in plain:
                    logger.log_metrics(metrics=row, step=step)
            logger.save()


class EpochLog:
    """Stands in for `LightningModule.log` in a validation or test: means over its examples, without a metric for each.

    Args:
        trainer: Whose metrics these are.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.connector = trainer, trainer._logger_connector
        self.batch: Any = None  # that is looked at

    def begin(self) -> None:
        """From now on the task's `log` is `note`."""
        self._noted: dict[str, list[tuple[Tensor, int]]] = {}  # values times examples, and examples
        self._shown: set[str] = set()  # in the progress bar
        self.metrics: Row = {}  # means, once they are published
        vars(self.trainer.lightning_module)["log"] = self.note

    def end(self) -> None:
        """The task's `log` is its own again."""
        vars(self.trainer.lightning_module).pop("log", None)

    def note(
        self,
        name: str,
        value: Any,
        prog_bar: bool = False,
        batch_size: int | None = None,
        sync_dist: bool = False,
        **how: Any,
    ) -> None:
        """What `self.log(name, value)` does within a validation or test; what asks for more is left to Lightning."""
        if not asks_for_nothing(how) or not is_number(value):
            how |= {"prog_bar": prog_bar, "batch_size": batch_size, "sync_dist": sync_dist}
            leave_to_lightning(self.trainer, self.batch, name, value, **how)
            return
        rows = batch_size or (1 if self.batch is None else extract_batch_size(self.batch))
        self._noted.setdefault(name, []).append((as_tensor(value, self.trainer) * rows, rows))
        if prog_bar:
            self._shown.add(name)
        if self.connector._first_loop_iter is None:  # what one callback logs at the end, the next one may look at
            self._tell([name])

    def publish(self) -> None:
        """Let callbacks and bar see the means."""
        own = self.connector.update_eval_epoch_metrics() if lightning_logs(self.trainer) else {}
        self.metrics = own | self._tell(self._noted)

    def _tell(self, names: Iterable[str]) -> Row:
        means: Row = {}
        for name in names:
            values, rows = zip(*self._noted[name], strict=True)
            total, count = sum(values[1:], values[0]), sum(rows)  # one after the other, as Lightning adds them
            means[name], self._noted[name] = total / count, [(total, count)]
        self.connector._callback_metrics.update(means)
        self.connector._logged_metrics.update(means)
        self.connector._progress_bar_metrics.update({name: means[name] for name in means.keys() & self._shown})
        return means

    def keep(self) -> None:
        """Hand the means to the loggers; within a training, to what is kept for them."""
        self.connector.log_metrics(self.metrics)


def log_by_network(task: LightningModule, name: str, optimizer: Optimizer, value: Tensor) -> None:
    """Log what was found at an optimizer's step; where several networks learn by turns, by its network."""
    name_of: Any = getattr(task, "name_of", None)
    task.log(f"{name}_{name_of(optimizer)}" if name_of else name, value)


def is_logged(trainer: Trainer) -> bool:
    """Whether the loggers are to have the step that is being made, as Lightning's `should_update_logs` says."""
    every, stepped = trainer.log_every_n_steps, trainer.fit_loop.epoch_loop._batches_that_stepped  # type: ignore[attr-defined]
    return bool((every and (stepped + 1) % every == 0) or trainer.should_stop or trainer.fast_dev_run)  # type: ignore[attr-defined]


def asks_for_nothing(how: Row) -> bool:
    """Whether further arguments of `log` leave it at a number, its name and the usual mean."""
    return not how or all(NOTHING.get(name, how) == value for name, value in how.items() if name != "batch_size")


def is_number(value: Any) -> bool:
    """Return whether a value is a single number; Lightning knows what to do with anything else."""
    return value.numel() == 1 if isinstance(value, Tensor) else isinstance(value, float | int)


def lightning_logs(trainer: Trainer) -> bool:
    """Return whether Lightning holds logged values of the loop under way, in this epoch or an earlier one."""
    return bool(trainer._results)


def log_through_task(trainer: Trainer) -> None:
    """Let `self.log` of each callback be the `log` that the task has when it is called.

    Lightning hands callbacks the method that the task has before the run, which `StepLog` and `EpochLog` replace.
    """
    task = trainer.lightning_module
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        vars(callback)["log"] = lambda *given, **how: task.log(*given, **how)


def as_tensor(value: Tensor | float, trainer: Trainer) -> Tensor:
    """A number as Lightning holds it: at least float32, on the task's device, without gradient."""
    if not isinstance(value, Tensor):
        return torch.tensor(float(value), device=trainer.lightning_module.device)
    value = value.detach()
    return value if value.dtype in (torch.float32, torch.float64) else value.float()


def leave_to_lightning(trainer: Trainer, batch: Any, name: str, value: Any, **how: Any) -> None:
    """Log by Lightning's own means."""
    results, task = trainer._results, trainer.lightning_module
    assert results is not None
    results.batch, results.batch_size = batch, None
    type(task).log(task, name, value, **how)
