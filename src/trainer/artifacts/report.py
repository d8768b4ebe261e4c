"""What a run says: a line before it begins, and a table of results with the next command at its end."""

import logging
import shutil
import sys
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from rich.table import Table
from torch import nn

from trainer.spec import DataSpec

log = logging.getLogger(__name__)


@rank_zero_only
def announce(spec: DataSpec, net: nn.Module, trainer: Trainer, directory: Path) -> None:
    """Say what is about to be trained, on what, and where it will lie."""
    parameters = sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
    device = f"{trainer.num_devices} x {trainer.strategy.root_device.type}"
    shape = " x ".join(map(str, spec.shape))
    log.info(f"data   {spec.name}: {spec.kind} {shape} -> {spec.target} ({spec.output_size} outputs)")
    log.info(f"model  {type(net).__name__}: {parameters:,} trainable parameters, on {device}")
    log.info(f"run    {shown(directory)}")


def report(result: dict[str, Any], directory: Path) -> None:
    """Print the metrics of validation and test side by side, and how to look further."""
    metrics: dict[str, float] = result["metrics"]
    stages = [stage for stage in ("train", "val", "test") if any(name.startswith(f"{stage}/") for name in metrics)]
    table = Table("metric", *stages)
    for name in dict.fromkeys(name.partition("/")[2] for name in metrics if name.partition("/")[0] in stages):
        values = [metrics.get(f"{stage}/{name}") for stage in stages]
        table.add_row(name, *("" if value is None else f"{value:.4f}" for value in values))
    console = Console()
    if metrics:
        console.print(table)
    log.info("(train: last step; val: last epoch; test: best checkpoint)")
    log.info(f"{result['steps']:,} step(s) in {result['seconds']:.1f} s")
    board = shutil.which("tensorboard") or str(Path(sys.executable).with_name("tensorboard"))
    log.info(f"results      {shown(directory / 'result.json')}")
    if (directory / "tensorboard").is_dir():
        log.info(f"look at it   {shown(Path(board))} --logdir {shown(directory)}")


def log_hyperparameters(loggers: list[Logger], config: dict[str, Any], metrics: dict[str, float]) -> None:
    """Fill TensorBoard's HParams tab: the settings that people vary, beside the final metrics."""
    groups = ("data", "model", "objective", "optimizer", "scheduler", "seed")
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams({group: config[group] for group in groups}, metrics)
            logger.finalize("success")  # everything is in the file when the run is over


def shown(path: Path) -> str:
    """A path as one would type it here: relative where it lies below the working directory."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
