"""Decoded images in memory, so that only the first epoch reads files."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import prod
from typing import Literal

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.memory import available_memory_bytes

log = logging.getLogger(__name__)

Cache = bool | Literal["auto"]
MAX_MEMORY_FRACTION = 0.25  # of the available memory, for `"auto"`, divided by the processes on this machine
MIB = 2**20


class ImageCache:
    """Images as bytes (images, *shape) by index; each is stored when it is read for the first time.

    Args:
        count: Number of images.
        shape: Shape of an image.
    """

    def __init__(self, count: int, shape: Sequence[int]) -> None:
        self.images = torch.empty(count, *shape, dtype=torch.uint8)
        self.is_stored = torch.zeros(count, dtype=torch.bool)

    def read(
        self, batches: Sequence[Tensor], read_files: Callable[[Sequence[Tensor]], Iterable[Tensor]]
    ) -> Iterator[Tensor]:
        """Yield the images of each batch; read those that are not stored.

        Args:
            batches: Image indices of each batch.
            read_files: Reads batches of images from their files, one after the other.
        """
        missing = [batch[~self.is_stored[batch]] for batch in batches]
        images = iter(read_files([rows for rows in missing if len(rows)]))
        for batch, rows in zip(batches, missing, strict=True):
            if len(rows):
                self.images[rows] = next(images)
                self.is_stored[rows] = True
            yield self.images[batch]


def make_image_cache(cache: Cache, count: int, shape: Sequence[int], processes: int) -> ImageCache | None:
    """Return an empty cache, or None if it is disabled or, for `"auto"`, does not fit into the memory.

    Args:
        cache: Setting of the user.
        count: Number of images.
        shape: Shape of an image.
        processes: Number of training processes on this machine, each with its own cache.

    Raises:
        UserError: If the memory cannot be allocated.
    """
    size = count * prod(shape)
    limit = int(MAX_MEMORY_FRACTION * available_memory_bytes() / processes)
    if not cache:
        return None
    if cache == "auto" and size > limit:
        log.info(f"images are read again in each epoch: decoded {size / MIB:,.0f} MiB, limit {limit / MIB:,.0f} MiB")
        return None
    try:
        return ImageCache(count, shape)
    except (RuntimeError, MemoryError):
        raise UserError(
            f"data.cache: {size / MIB:,.0f} MiB of memory are not available; set data.cache=false"
        ) from None
