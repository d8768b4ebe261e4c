"""What a run says: a line before it begins, and a table of results with the next command at its end."""

import logging
import shutil
import sys
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from rich.table import Table
from torch import nn

from trainer.artifacts.logger_lifecycle import log_config
from trainer.artifacts.run_directory import RunDirectory
from trainer.artifacts.run_record import moments
from trainer.artifacts.tensorboard_summary import complete
from trainer.core.errors import shown
from trainer.core.spec import DataSpec

log = logging.getLogger(__name__)


@rank_zero_only
def announce(spec: DataSpec, net: nn.Module, trainer: Trainer, directory: RunDirectory) -> None:
    """Print what is about to be trained, on what and in which directory, and log the config with all loggers."""
    log_config(trainer, directory.config)
    parameters = sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
    device = f"{trainer.world_size} x {trainer.strategy.root_device.type}"
    shape = " x ".join(map(str, spec.shape))
    log.info(f"data   {spec.title}: {spec.kind} {shape} -> {spec.target} ({spec.output_size} outputs)")
    log.info(f"model  {type(net).__name__}: {parameters:,} trainable parameters, on {device}")
    log.info(f"run    {shown(directory.path)}")


def report(result: dict[str, Any], directory: Path) -> None:
    """Print the metrics of validation and test side by side, and how to look further."""
    metrics: dict[str, float] = result["metrics"]
    console = Console()
    for table in tables(metrics):
        console.print(table)
    if result.get("synthetic"):
        log.warning("SYNTHETIC data: made up, in place of the real ones; these numbers say nothing about those")
    for name, epochs in result.get("not_finite_epochs", {}).items():
        log.warning(f"{name} was not finite in {epochs} epoch(s)")
    if result.get("stop_reason"):
        log.warning(result["stop_reason"])
    if told := moments(metrics, result["checkpoint"]):
        log.info(f"({told})")
    log.info(f"{result['steps']:,} step(s) in {result['seconds']:.1f} s")
    command = shutil.which("trainer") or str(Path(sys.executable).with_name("trainer"))
    log.info(f"results      {shown(directory / 'result.json')}")
    if (directory / "tensorboard").is_dir():
        log.info(f"look at it   {shown(Path(command))} tensorboard {shown(directory)}")


def tables(metrics: dict[str, float]) -> list[Table]:
    """A table of `stage/metric`, a column for each stage; and one of `test/metric/class`, a column for each metric."""
    whole = {tuple(name.split("/")): value for name, value in metrics.items() if name.count("/") == 1}
    classes = {tuple(name.split("/", 2)[1:]): value for name, value in metrics.items() if name.count("/") == 2}
    stages = [stage for stage in ("train", "val", "test") if any(name[0] == stage for name in whole)]
    of_stages = Table("metric", *stages)
    for name in dict.fromkeys(name[1] for name in whole if name[0] in stages):
        of_stages.add_row(name, *(_number(whole.get((stage, name))) for stage in stages))
    measures = dict.fromkeys(name[0] for name in classes)
    of_classes = Table("class", *measures)
    for name in dict.fromkeys(name[1] for name in classes):
        of_classes.add_row(name, *(_number(classes.get((measure, name))) for measure in measures))
    return [table for table in (of_stages, of_classes) if table.rows]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


@rank_zero_only
def log_hyperparameters(trainer: Trainer, directory: Path, metrics: dict[str, float]) -> None:
    """Complete the TensorBoard events of a run: what was varied beside the final metrics, charts, the config."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            complete(logger, directory, metrics, trainer.global_step)
