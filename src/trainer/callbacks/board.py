"""Pictures into TensorBoard, whoever draws them."""

from collections.abc import Callable

import numpy as np
from PIL import Image
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import TensorBoardLogger


def show(draw: Callable[[], Image.Image], tag: str, trainer: Trainer) -> None:
    """Draw a picture for every TensorBoard of a run, at the present step; where there is none, it is not drawn."""
    boards = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    if boards and trainer.is_global_zero:
        picture = np.asarray(draw())
        for board in boards:
            board.experiment.add_image(tag, picture, trainer.global_step, dataformats="HWC")
