"""What callbacks show in TensorBoard: pictures, which are stamped where data are made up, and tables of text."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import TensorBoardLogger


def boards(trainer: Trainer) -> list[Any]:
    """The `SummaryWriter` of every TensorBoard of a run; none in all processes but the first."""
    found = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return [logger.experiment for logger in found] if trainer.is_global_zero else []


def show(draw: Callable[[], Image.Image], tag: str, trainer: Trainer) -> None:
    """Draw a picture for every TensorBoard of a run, at the present step; where there is none, it is not drawn."""
    data = getattr(trainer, "datamodule", None)
    if found := boards(trainer):
        picture = np.asarray(_stamped(draw()) if data is not None and data.spec.synthetic else draw())
        for board in found:
            board.add_image(tag, picture, trainer.global_step, dataformats="HWC")


def tabulate(header: Sequence[str], rows: Sequence[Sequence[str]], tag: str, trainer: Trainer) -> None:
    """Show a table as text."""
    for board in boards(trainer):
        board.add_text(tag, table(header, rows), trainer.global_step)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; whatever stands in a cell is text there, and no markup."""
    lines = [header, ["---"] * len(header), *([_plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """As tables have it: four digits that count."""
    return f"{value:.4g}"


def _plain(cell: str) -> str:
    text = " ".join(cell.split())
    for sign in "\\`*_|<>[]":
        text = text.replace(sign, f"\\{sign}")
    return text


def _stamped(picture: Image.Image) -> Image.Image:
    """The picture on top of a red strip that says what it shows."""
    strip = 16  # pixels
    sheet = Image.new("RGB", (picture.width, picture.height + strip), (200, 0, 0))
    sheet.paste(picture, (0, 0))
    ImageDraw.Draw(sheet).text((4, picture.height + 2), "SYNTHETIC data", (255, 255, 255))
    return sheet
