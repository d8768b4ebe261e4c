"""Files that TensorBoard's projector reads, with vectors, labels and thumbnails."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from trainer.callbacks.plots.image_grid import make_thumbnails
from trainer.core.atomic_write import atomic_write_text

MAX_THUMBNAIL_PIXELS = 48  # side of a thumbnail; smaller images are not enlarged


class Points(NamedTuple):
    """A point cloud.

    Args:
        name: Name of the cloud.
        vectors: (points, width).
        header: Names of the label columns.
        labels: Labels of each point, one for each column.
        images: Thumbnails (points, channels, height, width); None draws dots.
    """

    name: str
    vectors: Tensor
    header: Sequence[str]
    labels: Sequence[Sequence[str]]
    images: Tensor | None = None

    def first(self, count: int) -> "Points":
        """Return at most the first `count` points."""
        images = None if self.images is None else self.images[:count]
        return Points(self.name, self.vectors[:count], self.header, self.labels[:count], images)


def write_projector(clouds: Sequence[Points], directory: Path) -> None:
    """Write point clouds to the directory of the events of a run; overwrites earlier ones."""
    from tensorboard.plugins.projector.metadata import PROJECTOR_FILENAME  # slow import, not needed for training
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    config = ProjectorConfig()
    for cloud in clouds:
        entry = config.embeddings.add(tensor_name=cloud.name)
        entry.tensor_path = f"{cloud.name}.tsv"
        entry.metadata_path = f"{cloud.name}_labels.tsv"
        entry.tensor_shape.extend(cloud.vectors.shape)
        np.savetxt(directory / entry.tensor_path, cloud.vectors.numpy(), "%.3g", delimiter="\t")
        lines = [cloud.header, *cloud.labels] if len(cloud.header) > 1 else cloud.labels  # one column has no header
        text = "\n".join("\t".join(" ".join(cell.split()) or "-" for cell in line) for line in lines)
        atomic_write_text(directory / entry.metadata_path, text + "\n")
        if cloud.images is not None:
            entry.sprite.image_path = f"{cloud.name}.png"
            sprite, size = make_sprite(cloud.images)
            sprite.save(directory / entry.sprite.image_path)
            entry.sprite.single_image_dim.extend(size)
    atomic_write_text(directory / PROJECTOR_FILENAME, str(config))


def make_sprite(images: Tensor) -> tuple[Image.Image, tuple[int, int]]:
    """Return images (n, channels, height, width) as one square image without gaps, and width and height of each."""
    height, width = images.shape[2:]
    scale = min(1.0, MAX_THUMBNAIL_PIXELS / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    columns = math.ceil(math.sqrt(len(images)))
    thumbnails = make_thumbnails(images, size[::-1], "bilinear")  # (n, height, width, 3)
    cells = np.full((columns * columns, *thumbnails.shape[1:]), 255, np.uint8)
    cells[: len(thumbnails)] = thumbnails
    rows = cells.reshape(columns, columns, *cells.shape[1:]).swapaxes(1, 2)  # (rows, height, columns, width, 3)
    return Image.fromarray(rows.reshape(columns * size[1], columns * size[0], 3)), size
