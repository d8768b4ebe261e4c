"""MNIST: 70,000 handwritten digits of 28x28 pixels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import Count, DataSpec
from trainer.data.base import TensorData
from trainer.data.io.download import DataFile, find
from trainer.data.loading.augment import random_affine
from trainer.data.loading.counter_rng import Draws
from trainer.data.loading.split import Split, Stage, cut
from trainer.data.preprocessing.images import Images
from trainer.data.synthetic import images

OTHER = "data.verify_checksums=false (Fashion-MNIST and other data sets use the same file names)"
# torchvision's layout and checksums: of the unpacked file, and of the .gz as downloaded
FILES = {
    name: DataFile(f"MNIST/raw/{name}", md5, f"{name}.gz", packed_md5, OTHER)
    for name, md5, packed_md5 in [
        ("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637", "ec29112dd5afa0611ce80d1b7f02629c"),
    ]
}
MEAN, DEVIATION = 0.1307, 0.3081  # of the training pixels, scaled to [0, 1]
IMAGES = Images((1, 28, 28), 255 * MEAN, 255 * DEVIATION)


class MNIST(TensorData):
    """The official test images, and the official training images cut into train and validation.

    Args:
        dir: Root of the data sets; the files lie in `MNIST/raw` below it, as torchvision puts them.
        mirrors: URLs that the files are fetched from, in turn, where they are missing.
        download: Whether missing files may be fetched.
        verify_checksums: Whether files must be the published MNIST. If false, any files with these names and in this
            format are read, e.g. Fashion-MNIST; nothing is downloaded then.
        val_size: Training images kept for validation.
        degrees: Training images are turned at random by up to this much either way.
        shift_pixels: ... shifted by up to this much along each axis.
        scale: ... and scaled by up to this share, either way.
        synthetic: Whether made-up images stand in for the real ones; no file is read then.
        data_seed: Of the cut; not the run's seed, so that runs compare.
        batch_size, eval_batch_size, seed: See `TensorData`.

    Source:
        Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits.
    """

    preprocessing = IMAGES

    def __init__(
        self,
        *,
        dir: str = "data",  # noqa: A002  the word users type: data.dir
        mirrors: Sequence[str] = (),
        download: bool = True,
        verify_checksums: bool = True,
        val_size: Count = 5000,
        degrees: float = 0.0,
        shift_pixels: float = 0.0,
        scale: float = 0.0,
        synthetic: bool = False,
        data_seed: int = 0,
        batch_size: int = 64,
        eval_batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        self.root, self.mirrors, self.download = Path(dir), tuple(mirrors), download
        self.verify_checksums = verify_checksums
        self.val_size, self.data_seed = val_size, data_seed
        self.degrees, self.shift_pixels, self.scale, self.synthetic = degrees, shift_pixels, scale, synthetic

    @property
    def spec(self) -> DataSpec:
        """Grey images of 28x28 pixels, ten classes."""
        return DataSpec(
            "mnist",
            "image",
            IMAGES.shape,
            "classes",
            10,
            class_names=tuple("0123456789"),
            synthetic=self.synthetic,
            value_range=(-MEAN / DEVIATION, (1 - MEAN) / DEVIATION),
        )

    def load(self) -> dict[Stage, Split]:
        """Find the four files, downloading the missing ones, and read them."""
        if self.synthetic:
            return images(self.spec, self.val_size)
        paths = {name: self._find(file) for name, file in FILES.items()}

        def read(part: str) -> Split:
            inputs = read_idx(paths[f"{part}-images-idx3-ubyte"])[:, None]  # (images, 1, 28, 28)
            return Split(inputs, read_idx(paths[f"{part}-labels-idx1-ubyte"]).long())

        val, train = cut(read("train"), self.val_size, seed=self.data_seed)
        return {"train": train, "val": val, "test": read("t10k")}

    def _find(self, file: DataFile) -> Path:
        """Return the path of one of the four files."""
        if self.verify_checksums:
            return find(file, self.root, self.mirrors, self.download)
        return find(replace(file, md5="", download_md5=""), self.root)

    def augment(self, inputs: Tensor, random: Draws) -> Tensor:
        """Turn, shift and scale each image at random."""
        return random_affine(
            inputs,
            random,
            degrees=self.degrees,
            shift_pixels=self.shift_pixels,
            scale=self.scale,
            fill=-MEAN / DEVIATION,
        )


def read_idx(path: Path) -> Tensor:
    """Read a file of bytes in the IDX format: two zeros, type 8, number of axes, their lengths, the bytes.

    Raises:
        UserError: The header or the length is not that of such a file.
    """
    raw = np.fromfile(path, np.uint8)
    axes = int(raw[3]) if len(raw) > 3 else 0
    shape = np.frombuffer(raw, ">u4", count=axes, offset=4).tolist() if len(raw) >= 4 + 4 * axes else []
    if raw[:3].tobytes() != b"\0\0\x08" or len(raw) != 4 + 4 * axes + int(np.prod(shape)):
        raise UserError(f"{path}: not an IDX file of bytes")
    return torch.from_numpy(raw[4 + 4 * axes :].reshape(shape))
