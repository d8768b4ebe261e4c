"""Fast replacement of `LightningModule.log` whose values are written to the loggers in batches."""

import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.loggers.logger import DummyLogger
from pytorch_lightning.utilities.data import extract_batch_size
from torch import Tensor

from trainer.training.fused.current import count_runs

WRITE_INTERVAL_SECONDS = 1.0  # of each run of a process
MAX_WRITE_INTERVAL_SECONDS = 10.0
# further arguments of `LightningModule.log`; `sync_dist` has no effect, as there is one process
DEFAULT_LOG_ARGUMENTS = {
    "logger": None,
    "on_step": None,
    "on_epoch": None,
    "reduce_fx": "mean",
    "enable_graph": False,
    "sync_dist_group": None,
    "add_dataloader_idx": True,
    "metric_attribute": None,
    "rank_zero_only": False,
}

Row = dict[str, Any]


@runtime_checkable
class RowLogger(Protocol):
    """A logger that accepts many rows at once."""

    def log_rows(self, rows: Sequence[tuple[int, Row]]) -> None:
        """Log values by name, each row at its step."""
        ...


class StepLog:
    """Replacement of `LightningModule.log` within a training step, and of the trainer's `log_metrics`.

    Metrics, callbacks and loggers get the same values as from Lightning, for the same steps. Loggers get them up to
    `WRITE_INTERVAL_SECONDS` later, many at a time: one flush of a file, and on a GPU no wait at every step. The
    interval is longer in a process that trains several runs, so that only a few of them write in each second.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.connector = trainer._logger_connector
        self.latest: Row = {}  # latest values of this epoch by name
        self.batch: Any = None  # batch of the current step
        self._rows: list[tuple[int, Row]] = []
        self._written_at = time.monotonic()

    def install(self) -> None:
        """Buffer the values that the trainer sends to its loggers."""
        vars(self.connector)["log_metrics"] = self.buffer

    def remove(self) -> None:
        """Write the buffered values, and let the trainer write later ones immediately."""
        vars(self.connector).pop("log_metrics", None)
        self.write()

    def log(self, name: str, value: Any, prog_bar: bool = False, sync_dist: bool = False, **options: Any) -> None:
        """Log a scalar as `self.log(name, value)` does within a step; with other options call Lightning's method."""
        if not has_default_arguments(options) or not is_scalar(value):
            log_with_lightning(self.trainer, self.batch, name, value, prog_bar=prog_bar, sync_dist=sync_dist, **options)
            return
        tensor = as_tensor(value, self.trainer)
        self.latest[name] = self.connector._callback_metrics[name] = self.connector._logged_metrics[name] = tensor
        if prog_bar:
            self.connector._progress_bar_metrics[name] = tensor  # type: ignore[assignment]  # formatted like a float

    def commit_step(self, due: bool) -> None:
        """End a step; buffer its values for the loggers if it is due to be logged."""
        if has_lightning_results(self.trainer):
            self.connector.on_batch_end()
        if due:
            results = self.connector.metrics["log"] if has_lightning_results(self.trainer) else {}
            self.buffer({name: value.clone() for name, value in self.latest.items()} | results)
        self.batch = None

    def buffer(self, metrics: Row, step: int | None = None) -> None:
        """Log metrics as the trainer's `log_metrics` does, but write them to the loggers later."""
        if not self.trainer.loggers or not metrics:
            return
        self.connector._logged_metrics.update(metrics)
        if isinstance(self.trainer.loggers[0], DummyLogger):  # during the steps of a `LearningRateFinder`
            return
        row = dict(metrics)
        if step is None and "step" in row:
            step = int(row.pop("step"))
        elif step is None:
            row.setdefault("epoch", self.trainer.current_epoch)
            step = self.trainer.fit_loop.epoch_loop._batches_that_stepped
        self.add_rows([(step, row)])

    def add_rows(self, rows: Iterable[tuple[int, Row]]) -> None:
        """Write rows of values, each with its step, to the loggers, now or later."""
        self._rows += rows
        interval = min(count_runs() * WRITE_INTERVAL_SECONDS, MAX_WRITE_INTERVAL_SECONDS)
        if time.monotonic() - self._written_at > interval:
            self.write()

    def write(self) -> None:
        """Write the buffered values to the loggers."""
        rows = [
            (step, {name: value.item() if isinstance(value, Tensor) else value for name, value in row.items()})
            for step, row in self._rows
        ]
        self._rows = []
        self._written_at = time.monotonic()
        if not rows:
            return
        for logger in self.trainer.loggers:
            if isinstance(logger, RowLogger):
                logger.log_rows(rows)
            else:
                for step, row in rows:
                    logger.log_metrics(metrics=row, step=step)
            logger.save()


class EpochLog:
    """Replacement of `LightningModule.log` in a validation or test; computes means over the examples."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.connector = trainer._logger_connector
        self.batch: Any = None  # current batch

    def install(self) -> None:
        """Replace the task's `log`."""
        self._terms: dict[str, list[tuple[Tensor, int]]] = {}  # (value times examples, examples) of each call
        self._progress_bar_names: set[str] = set()
        self.metrics: Row = {}  # published means
        vars(self.trainer.lightning_module)["log"] = self.log

    def remove(self) -> None:
        """Restore the task's `log`."""
        vars(self.trainer.lightning_module).pop("log", None)

    def log(
        self,
        name: str,
        value: Any,
        prog_bar: bool = False,
        batch_size: int | None = None,
        sync_dist: bool = False,
        **options: Any,
    ) -> None:
        """Log a scalar as `self.log(name, value)` does in an evaluation; with other options call Lightning's method."""
        if not has_default_arguments(options) or not is_scalar(value):
            options |= {"prog_bar": prog_bar, "batch_size": batch_size, "sync_dist": sync_dist}
            log_with_lightning(self.trainer, self.batch, name, value, **options)
            return
        examples = batch_size or (1 if self.batch is None else extract_batch_size(self.batch))
        self._terms.setdefault(name, []).append((as_tensor(value, self.trainer) * examples, examples))
        if prog_bar:
            self._progress_bar_names.add(name)
        if self.connector._first_loop_iter is None:  # after the last batch: later callbacks may read the value
            self._publish_means([name])

    def publish(self) -> None:
        """Make the means available to callbacks and progress bar."""
        results = self.connector.update_eval_epoch_metrics() if has_lightning_results(self.trainer) else {}
        self.metrics = results | self._publish_means(self._terms)

    def _publish_means(self, names: Iterable[str]) -> Row:
        means: Row = {}
        for name in names:
            values, counts = zip(*self._terms[name], strict=True)
            total = sum(values[1:], values[0])  # in the same order as Lightning, for equal rounding
            count = sum(counts)
            means[name] = total / count
            self._terms[name] = [(total, count)]
        self.connector._callback_metrics.update(means)
        self.connector._logged_metrics.update(means)
        self.connector._progress_bar_metrics.update(
            {name: means[name] for name in means.keys() & self._progress_bar_names}
        )
        return means


def is_logging_step(trainer: Trainer) -> bool:
    """Return True if the current step is written to the loggers, as Lightning's `should_update_logs` does."""
    interval = trainer.log_every_n_steps  # type: ignore[attr-defined]
    is_due = interval and (trainer.fit_loop.epoch_loop._batches_that_stepped + 1) % interval == 0
    return bool(is_due or trainer.should_stop or trainer.fast_dev_run)  # type: ignore[attr-defined]


def has_default_arguments(options: Row) -> bool:
    """Return True if further arguments of `log` have their defaults; `batch_size` may have any value."""
    return not options or all(
        name == "batch_size" or (name, value) in DEFAULT_LOG_ARGUMENTS.items() for name, value in options.items()
    )


def is_scalar(value: Any) -> bool:
    """Return True if a value is a single number."""
    return value.numel() == 1 if isinstance(value, Tensor) else isinstance(value, float | int)


def has_lightning_results(trainer: Trainer) -> bool:
    """Return True if Lightning stores logged values of the current loop, in this epoch or an earlier one."""
    return bool(trainer._results)


def redirect_callback_logs(trainer: Trainer) -> None:
    """Let `self.log` of each callback call the `log` that the task has at that moment.

    Lightning gives callbacks the method that the task has before the run, which `StepLog` and `EpochLog` replace.
    """
    task = trainer.lightning_module
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        vars(callback)["log"] = lambda *arguments, **options: task.log(*arguments, **options)


def as_tensor(value: Tensor | float, trainer: Trainer) -> Tensor:
    """Return a number in the form that Lightning stores: float32 or float64, on the task's device, no gradient."""
    if not isinstance(value, Tensor):
        return torch.tensor(float(value), device=trainer.lightning_module.device)
    value = value.detach()
    return value if value.dtype in (torch.float32, torch.float64) else value.float()


def log_with_lightning(trainer: Trainer, batch: Any, name: str, value: Any, **options: Any) -> None:
    """Log by Lightning's own method."""
    results = trainer._results
    task = trainer.lightning_module
    assert results is not None
    results.batch = batch
    results.batch_size = None
    type(task).log(task, name, value, **options)
