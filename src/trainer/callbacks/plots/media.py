"""Images and tables of callbacks, for every logger that can store them; images of synthetic data are marked."""

import re
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, Protocol, runtime_checkable

from PIL import Image, ImageDraw
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from trainer.callbacks.plots.style import FONT, RED, WHITE
from trainer.core.formatting import format_markdown_table
from trainer.core.spec import find_spec


@runtime_checkable
class MediaLogger(Protocol):
    """Logger that stores images and tables: one of `trainer.artifacts.trackers`, or one of your own."""

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        """Store PIL images under a tag."""

    def log_table(self, key: str, columns: list[str], data: list[list[Any]], step: int | None = None) -> None:
        """Store the rows of a table under a tag."""


def get_writers(trainer: Trainer) -> list[Any]:
    """Return the `SummaryWriter` of each TensorBoard logger; an empty list in all processes except the first."""
    loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return [logger.experiment for logger in loggers] if trainer.is_global_zero else []


def get_media_loggers(trainer: Trainer) -> list[MediaLogger]:
    """Return the other loggers that store images and tables; an empty list in all processes except the first."""
    return [logger for logger in trainer.loggers if trainer.is_global_zero and isinstance(logger, MediaLogger)]


def can_log_media(trainer: Trainer) -> bool:
    """Return True if this process has a logger that stores images and tables."""
    return bool(get_writers(trainer) or get_media_loggers(trainer))


def log_image(draw: Callable[[], Image.Image], tag: str, trainer: Trainer) -> None:
    """Log an image at the current step; `draw` is only called if there is a logger that stores images."""
    if not can_log_media(trainer):
        return
    spec = find_spec(getattr(trainer, "datamodule", None))
    image = _stamp_synthetic(draw()) if spec and spec.synthetic else draw()
    for writer in get_writers(trainer):
        _write_image(writer, image, tag, trainer.global_step)
    for logger in get_media_loggers(trainer):
        logger.log_image(tag, [image], step=trainer.global_step)


def _write_image(writer: Any, image: Image.Image, tag: str, step: int) -> None:
    """Do the same as `SummaryWriter.add_image` in half the time: it copies the pixels several times."""
    from tensorboard.compat.proto.summary_pb2 import Summary  # not needed before the first image

    png = BytesIO()
    image.save(png, "PNG")
    content = {
        "width": image.width,
        "height": image.height,
        "colorspace": len(image.getbands()),
        "encoded_image_string": png.getvalue(),
    }
    writer._get_file_writer().add_summary(Summary(value=[{"tag": tag, "image": content}]), step)


def log_table(header: Sequence[str], rows: Sequence[Sequence[str]], tag: str, trainer: Trainer) -> None:
    """Log a table at the current step; TensorBoard shows it as text."""
    for writer in get_writers(trainer):
        escaped = [[_escape_markdown(cell) for cell in row] for row in rows]
        writer.add_text(tag, format_markdown_table(header, escaped), trainer.global_step)
    for logger in get_media_loggers(trainer):
        logger.log_table(tag, [*header], [[*row] for row in rows], step=trainer.global_step)


def _escape_markdown(cell: str) -> str:
    return re.sub(r"([\\`*_\[\]])", r"\\\1", cell)


def _stamp_synthetic(image: Image.Image) -> Image.Image:
    """Return the image above a red strip with a note."""
    stamped = Image.new("RGB", (image.width, image.height + 22), RED)
    stamped.paste(image, (0, 0))
    ImageDraw.Draw(stamped).text((6, image.height + 3), "SYNTHETIC data", WHITE, FONT)
    return stamped
