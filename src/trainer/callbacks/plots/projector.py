"""The files that TensorBoard's projector reads: points as text, a line of names for each, thumbnails as one image."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from trainer.callbacks.prediction_images import thumbnails

MOST_PIXELS = 48  # side of a thumbnail; smaller images stay as they are


class Points(NamedTuple):
    """A cloud of points.

    Args:
        name: Of it.
        vectors: (points, width).
        header: Of the labels.
        labels: As many of each point.
        images: (points, channels, height, width), to be drawn in place of dots; None for dots.
    """

    name: str
    vectors: Tensor
    header: Sequence[str]
    labels: Sequence[Sequence[str]]
    images: Tensor | None = None

    def first(self, count: int) -> "Points":
        """As many of them at most."""
        images = None if self.images is None else self.images[:count]
        return Points(self.name, self.vectors[:count], self.header, self.labels[:count], images)


def project(clouds: Sequence[Points], folder: Path) -> None:
    """Write clouds of points beside the events of a run, in place of those that were there.

    Args:
        clouds: One or more, with names of their own.
        folder: Of the events.
    """
    from tensorboard.plugins.projector.metadata import PROJECTOR_FILENAME  # takes a while, and no training needs it
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    config = ProjectorConfig()
    for cloud in clouds:
        told = config.embeddings.add(tensor_name=cloud.name)
        told.tensor_path, told.metadata_path = f"{cloud.name}.tsv", f"{cloud.name}_labels.tsv"
        told.tensor_shape.extend(cloud.vectors.shape)
        np.savetxt(folder / told.tensor_path, cloud.vectors.numpy(), "%.3g", delimiter="\t")
        lines = [cloud.header, *cloud.labels] if len(cloud.header) > 1 else cloud.labels  # one column has no header
        text = "\n".join("\t".join(" ".join(cell.split()) or "-" for cell in line) for line in lines)
        (folder / told.metadata_path).write_text(text + "\n", "utf-8")
        if cloud.images is not None:
            told.sprite.image_path = f"{cloud.name}.png"
            picture, size = sprite(cloud.images)
            picture.save(folder / told.sprite.image_path)
            told.sprite.single_image_dim.extend(size)
    (folder / PROJECTOR_FILENAME).write_text(str(config), "utf-8")


def sprite(images: Tensor) -> tuple[Image.Image, tuple[int, int]]:
    """Images (n, channels, height, width) in rows of a square sheet without gaps; and width and height of one."""
    height, width = images.shape[2:]
    shrunk = min(1.0, MOST_PIXELS / max(height, width))
    size = (max(1, round(width * shrunk)), max(1, round(height * shrunk)))
    columns = math.ceil(math.sqrt(len(images)))
    drawn = thumbnails(images, size[::-1], "bilinear")  # (n, height, width, 3)
    sheet = np.full((columns * columns, *drawn.shape[1:]), 255, np.uint8)
    sheet[: len(drawn)] = drawn
    rows = sheet.reshape(columns, columns, *drawn.shape[1:]).swapaxes(1, 2)  # (rows, height, columns, width, 3)
    return Image.fromarray(rows.reshape(columns * size[1], columns * size[0], 3)), size
