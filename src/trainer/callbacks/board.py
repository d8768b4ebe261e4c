"""Pictures into TensorBoard, whoever draws them; those of made-up data are stamped."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import TensorBoardLogger


def show(draw: Callable[[], Image.Image], tag: str, trainer: Trainer) -> None:
    """Draw a picture for every TensorBoard of a run, at the present step; where there is none, it is not drawn."""
    data = getattr(trainer, "datamodule", None)
    boards = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    if boards and trainer.is_global_zero:
        picture = np.asarray(_stamped(draw()) if data and data.spec.synthetic else draw())
        for board in boards:
            board.experiment.add_image(tag, picture, trainer.global_step, dataformats="HWC")


def _stamped(picture: Image.Image) -> Image.Image:
    """The picture on top of a red strip that says what it shows."""
    strip = 16  # pixels
    sheet = Image.new("RGB", (picture.width, picture.height + strip), (200, 0, 0))
    sheet.paste(picture, (0, 0))
    ImageDraw.Draw(sheet).text((4, picture.height + 2), "SYNTHETIC data", (255, 255, 255))
    return sheet
