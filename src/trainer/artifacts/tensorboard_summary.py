"""What TensorBoard shows of a run beside curves and pictures: settings with results, shared charts, the config.

The settings come without a list of all settings that there are: TensorBoard would take that of the first run it finds
for all runs. So it makes the list of the runs itself, and a later run may have a key that the first had not.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_lightning.loggers import TensorBoardLogger

from trainer.artifacts.hparams import settings, told_metrics
from trainer.artifacts.run_record import Record

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Layout = dict[str, dict[str, list[str | list[str]]]]


def complete(logger: TensorBoardLogger, directory: Path, metrics: Mapping[str, float], step: int) -> None:
    """Add to the events of a run what is known when it is over, and close them.

    Args:
        logger: Of the run.
        directory: The run directory.
        metrics: The last value of each, and `..._best`.
        step: The last one.
    """
    from torch.utils.tensorboard.summary import hparams  # a run without TensorBoard does without its modules

    record = Record(directory)
    board: SummaryWriter = logger.experiment
    if record.config.get("data.synthetic"):
        board.add_text("SYNTHETIC data", "These data are made up, in place of the real ones.")
    board.add_text("config", f"```yaml\n{(directory / 'config.yaml').read_text('utf-8')}```")
    board.add_custom_scalars(layout([*metrics]))
    for name in told_metrics([*metrics]):
        if name.endswith("_best"):  # the others have been logged when they were measured
            board.add_scalar(name, metrics[name], step)
    writer = board._get_file_writer()  # type: ignore[no-untyped-call]
    _, start, end = hparams(settings(record), {})  # type: ignore[no-untyped-call]
    for summary in (start, end):
        writer.add_summary(summary, step)
    logger.finalize("success")
    board.close()  # everything is in the file when the run is over


def layout(metrics: list[str]) -> Layout:
    """The custom scalars: each metric in one chart for training and validation, then what only one of them has.

    Args:
        metrics: Their names, of all stages.
    """
    own = [name for name in metrics if not name.endswith("_best") and not name.startswith("test/")]
    of_stages: dict[str, list[str]] = {}
    for name in own:
        if name.startswith(("train/", "val/")):
            of_stages.setdefault(name.partition("/")[2], []).append(name)
    both = {name: _lines(tags) for name, tags in of_stages.items()}
    rest = {name: _lines([name]) for name in own if not name.startswith(("train/", "val/"))}
    return {title: charts for title, charts in (("train and val", both), ("other", rest)) if charts}


def _lines(tags: list[str]) -> list[str | list[str]]:
    """TensorBoard takes each tag as a regular expression, and from its beginning on."""
    return ["Multiline", [f"{re.escape(tag)}$" for tag in tags]]
