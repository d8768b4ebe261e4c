"""Console output before and after a run."""

import logging
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from rich.table import Column, Table

from trainer.artifacts.hparams import collect_swept_values
from trainer.artifacts.intervals import describe_missing, format_intervals
from trainer.artifacts.learning_curves import describe_run_curves
from trainer.artifacts.logger_lifecycle import log_best_metrics, log_config
from trainer.artifacts.network_summary import count_parameters
from trainer.artifacts.run_directory import RunDirectory
from trainer.artifacts.run_record import RunRecord, format_measurement_times
from trainer.artifacts.tensorboard_summary import write_summary
from trainer.core.errors import display_path
from trainer.core.escaping import terminal_text
from trainer.core.formatting import format_number, quote_argument
from trainer.core.installation import find_command
from trainer.core.metric_name import tabulate_metrics
from trainer.core.spec import find_spec
from trainer.task.parameter_groups import get_network

log = logging.getLogger(__name__)


@rank_zero_only
def log_run_start(data: Any, task: LightningModule, trainer: Trainer, directory: RunDirectory) -> None:
    """Print data, model and run directory before a training, and log the config with all loggers."""
    log_config(trainer, directory.stored_config, collect_swept_values(RunRecord(directory.path)))
    net = get_network(task)
    parameters = count_parameters(net, trainable_only=True)
    devices = f"{trainer.world_size} x {trainer.strategy.root_device.type}"
    log.info(f"data   {_describe_data(data)}")
    log.info(f"model  {type(net).__name__}: {parameters:,} trainable parameters, on {devices}")
    log.info(f"run    {display_path(directory.path)}")


def _describe_data(data: Any) -> str:
    spec = find_spec(data)
    if spec is None:
        return f"{type(data).__name__}: no spec, so callbacks that display examples are inactive"
    return str(spec)


def print_results(result: dict[str, Any], directory: Path, *, is_sweep_job: bool = False) -> None:
    """Print the metrics of all stages, warnings, and the command for TensorBoard; less for one job of many."""
    metrics: dict[str, float] = result["metrics"]
    console = Console()
    for table in build_tables(metrics, format_intervals(result))[: 1 if is_sweep_job else None]:
        console.print(table)
    if result.get("synthetic"):
        log.warning("SYNTHETIC data: these metrics do not apply to the real data set")
    for name, epochs in result.get("not_finite_epochs", {}).items():
        log.warning(f"{name} was not finite in {epochs} epoch(s)")
    if result.get("stop_reason"):
        log.warning(result["stop_reason"])
    if (times := format_measurement_times(metrics, result["checkpoint"])) and not is_sweep_job:
        log.info(f"({times})")
        if missing := describe_missing(result):
            log.info(f"({missing})")
    if result.get("threshold") is not None and not is_sweep_job:
        log.info(f"threshold    {format_number(result['threshold'])}, chosen on validation")
    if not is_sweep_job and (curves := describe_run_curves(RunRecord(directory), result)):
        log.info(f"curves       {curves}")
    log.info(f"{result['steps']:,} step(s) in {result['seconds']:.1f} s")
    log.info(f"results      {display_path(directory / 'result.json')}")
    if (directory / "tensorboard").is_dir() and not is_sweep_job:
        log.info(f"view logs    {find_command()} tensorboard {quote_argument(display_path(directory))}")


def build_tables(metrics: dict[str, float], intervals: dict[str, str]) -> list[Table]:
    """Return a table of all metrics with a column per stage, and one of single classes with a column per metric."""
    tables = []
    for header, *rows in tabulate_metrics(metrics, _format_number, intervals):
        tables.append(Table(*(Column(terminal_text(name)) for name in header)))
        for row in rows:
            tables[-1].add_row(*map(terminal_text, row))
    return tables


def _format_number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


@rank_zero_only
def log_hyperparameters(trainer: Trainer, directory: Path, metrics: dict[str, float]) -> None:
    """Log the best metrics; write hyperparameters, charts and the config to the TensorBoard events of a run."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            write_summary(logger, directory, metrics, trainer.global_step)
    log_best_metrics(trainer, metrics)
