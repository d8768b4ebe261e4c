"""MNIST data set of 70,000 handwritten digits of 28x28 pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec, PositiveInt
from trainer.data.augmentation.augmentation import AugmentationSetting, parse_augmentation
from trainer.data.base import TensorData, make_classification_spec
from trainer.data.io.arrays.idx_file import read_idx
from trainer.data.io.download import DataFile, fetch_file
from trainer.data.loading.class_balance import Sampling
from trainer.data.loading.split import Split, Stage, random_split
from trainer.data.preprocessing.images import ImagePreprocessing
from trainer.data.synthetic import make_images

OTHER_FILES_HINT = "data.verify_checksums=false (Fashion-MNIST and other data sets use the same file names)"
PARTS: dict[Stage, str] = {"train": "train", "test": "t10k"}  # prefixes of the file names


def list_files(folder: str, checksums: Mapping[str, tuple[str, str]], checksum_hint: str) -> dict[str, DataFile]:
    """Return the files of a data set in MNIST's format, in torchvision's layout.

    Args:
        folder: Directory below the data root.
        checksums: MD5 of the unpacked file, or "" if it is not published, and of the downloaded .gz, by file name.
        checksum_hint: The setting that accepts other files.
    """
    return {
        name: DataFile(f"{folder}/raw/{name}", md5, f"{name}.gz", packed_md5, checksum_hint)
        for name, (md5, packed_md5) in checksums.items()
    }


FILES = list_files(
    "MNIST",
    {
        "train-images-idx3-ubyte": ("6bbc9ace898e44ae57da46a324031adb", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        "train-labels-idx1-ubyte": ("a25bea736e30d166cdddb491f175f624", "d53e105ee54ea40749a09fcbcd1e9432"),
        "t10k-images-idx3-ubyte": ("2646ac647ad5339dbf082846283269ea", "9fb629c4189551a2d022fa330f9573f3"),
        "t10k-labels-idx1-ubyte": ("27ae3e4e09519cfbb04c329615203637", "ec29112dd5afa0611ce80d1b7f02629c"),
    },
    OTHER_FILES_HINT,
)
# of the training pixels, scaled to [0, 1]
MEAN = 0.1307
STD = 0.3081
SHAPE = (1, 28, 28)
PREPROCESSING = ImagePreprocessing(SHAPE, 255 * MEAN, 255 * STD)


class MNIST(TensorData):
    """The official test set; the official training set is split into training and validation.

    Args:
        dir: Root of the data sets; contains `MNIST/raw` in torchvision's layout.
        mirrors: URLs of directories with the files, tried in turn if a file is missing.
        download: Whether missing files may be downloaded.
        verify_checksums: Whether the files must be the published MNIST. If false, any files with these names and in
            this format are read, e.g. Fashion-MNIST, and nothing is downloaded.
        val_size: Training images used for validation.
        augmentation: Random changes of training images, e.g. `[flip, {crop: {padding: 4}}]`; see docs/data.md.
        synthetic: Whether synthetic images replace the real ones; no file is read then.
        data_seed: Seed of the split; separate from the run's seed, so that all runs use the same examples.
        sampling, batch_size, eval_batch_size, seed: See `TensorData`.

    Source:
        Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits.
    """

    name = "mnist"
    files = FILES
    classes: tuple[str, ...] = tuple("0123456789")
    preprocessing = PREPROCESSING

    def __init__(
        self,
        *,
        dir: str = "data",  # noqa: A002  the config key is data.dir
        mirrors: Sequence[str] = (),
        download: bool = True,
        verify_checksums: bool = True,
        val_size: PositiveInt = 5000,
        augmentation: AugmentationSetting = (),
        synthetic: bool = False,
        data_seed: int = 0,
        sampling: Sampling = None,
        batch_size: int = 64,
        eval_batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed, sampling=sampling)
        self.augmentation = parse_augmentation(augmentation)
        self.root = Path(dir)
        self.mirrors = tuple(mirrors)
        self.download = download
        self.verify_checksums = verify_checksums
        self.val_size = val_size
        self.synthetic = synthetic
        self.data_seed = data_seed

    @property
    def spec(self) -> DataSpec:
        """Grayscale images of 28x28 pixels."""
        options = {"synthetic": self.synthetic, "value_range": self.preprocessing.value_range}
        return make_classification_spec(self.name, "image", SHAPE, self.classes, **options)

    def load(self) -> dict[Stage, Split]:
        """Read the files; split off the validation images."""
        if self.synthetic:
            return make_images(self.spec, self.val_size)
        val, train = random_split(self.read_part("train"), self.val_size, seed=self.data_seed)
        return {"train": train, "val": val, "test": self.read_part("test")}

    def read_part(self, part: Stage) -> Split:
        """Read the official training or test images; download missing files first."""
        images, labels = (
            self._fetch(self.files[f"{PARTS[part]}-{kind}-ubyte"]) for kind in ("images-idx3", "labels-idx1")
        )
        return read_examples(images, labels)

    def _fetch(self, file: DataFile) -> Path:
        if self.verify_checksums:
            return fetch_file(file, self.root, self.mirrors, self.download)
        return fetch_file(replace(file, md5="", download_md5=""), self.root)

    @property
    def fill(self) -> float:
        """Black."""
        return self.preprocessing.value_range[0]


def read_examples(images: Path, labels: Path) -> Split:
    """Read IDX files of images (images, height, width) and labels, both as bytes.

    Raises:
        UserError: If a file is invalid.
    """
    arrays = [read_idx(path) for path in (images, labels)]
    for path, array, axes in zip((images, labels), arrays, (3, 1), strict=True):
        if array.dtype != np.uint8 or array.ndim != axes:
            raise UserError(f"{path}: expected bytes with {axes} axes, found {array.dtype} of shape {array.shape}")
    inputs, targets = map(torch.from_numpy, arrays)
    return Split(inputs[:, None], targets.long())
