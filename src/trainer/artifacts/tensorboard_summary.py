"""TensorBoard data of a finished run: hyperparameters with metrics, custom charts and the config.

The hyperparameters are written without an experiment summary: TensorBoard would apply the one of the first run to all
runs and hide the keys of later runs.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_lightning.loggers import TensorBoardLogger

from trainer.artifacts.hparams import collect_hparams
from trainer.artifacts.loggers import ResilientTensorBoardLogger
from trainer.artifacts.run_record import RunRecord
from trainer.core.mappings import group_pairs
from trainer.core.metric_name import list_metrics, make_tensorboard_tag

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Layout = dict[str, dict[str, list[str | list[str]]]]


def write_summary(logger: TensorBoardLogger, directory: Path, metrics: Mapping[str, float], step: int) -> None:
    """Write the final data to the events of a run and close them.

    Args:
        logger: Logger of the run.
        directory: Run directory.
        metrics: Last value of each metric, and `..._best`.
        step: Last step.
    """
    from torch.utils.tensorboard.summary import hparams  # imports tensorboard

    record = RunRecord(directory)
    writer: SummaryWriter = logger.experiment
    if record.config.get("data.synthetic"):
        writer.add_text("SYNTHETIC data", "Synthetic data replace the real data set.")
    writer.add_text("config", f"```yaml\n{(directory / 'config.yaml').read_text('utf-8')}```")
    tags = {
        name: make_tensorboard_tag(name) if isinstance(logger, ResilientTensorBoardLogger) else name for name in metrics
    }
    writer.add_custom_scalars(build_layout(tags))
    for name in list_metrics(metrics, "val", "test"):
        if name.endswith("_best"):  # other metrics were logged when they were measured
            writer.add_scalar(tags[name], metrics[name], step)
    file_writer = writer._get_file_writer()  # type: ignore[no-untyped-call]
    _, start, end = hparams(collect_hparams(record), {})  # type: ignore[no-untyped-call]
    for summary in (start, end):
        file_writer.add_summary(summary, step)
    logger.finalize("success")
    writer.close()  # the file is complete when the run ends


def build_layout(tags: Mapping[str, str]) -> Layout:
    """Return the layout of custom scalars: a chart for each metric of training and validation, then other metrics.

    Args:
        tags: Tags of the metrics of all stages, by name.
    """
    names = [name for name in tags if not name.endswith("_best") and not name.startswith("test/")]
    staged = [name for name in names if name.startswith(("train/", "val/"))]
    stage_tags = group_pairs((name.partition("/")[2], tags[name]) for name in staged)
    stages = {title: _multiline_chart(stage_tags[title]) for title in stage_tags}
    others = {name: _multiline_chart([tags[name]]) for name in names if name not in staged}
    return {title: charts for title, charts in (("train and val", stages), ("other", others)) if charts}


def _multiline_chart(tags: list[str]) -> list[str | list[str]]:
    # TensorBoard matches each tag as the prefix of a regular expression
    return ["Multiline", [f"{re.escape(tag)}$" for tag in tags]]
