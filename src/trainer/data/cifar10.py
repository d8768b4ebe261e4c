"""CIFAR-10 data set of 60,000 color photographs of 32x32 pixels in ten classes."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec, PositiveInt
from trainer.data.augmentation.augmentation import AugmentationSetting, parse_augmentation
from trainer.data.base import TensorData, make_classification_spec
from trainer.data.io.archive import fetch_files
from trainer.data.io.download import DataFile
from trainer.data.loading.class_balance import Sampling
from trainer.data.loading.split import Split, Stage, random_split, select_classes, take_per_class, validate_classes
from trainer.data.preprocessing.images import ImagePreprocessing
from trainer.data.synthetic import make_images

FOLDER = "cifar-10-batches-py"
ARCHIVE = DataFile("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a")
# torchvision's layout and checksums
FILES = {
    name: DataFile(f"{FOLDER}/{name}", md5)
    for name, md5 in [
        ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
        ("test_batch", "40351d587109b95175f43aff81a1287e"),
    ]
}
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# of each color over the training pixels, scaled to [0, 1]
MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
STD = torch.tensor([0.2470, 0.2435, 0.2616]).view(3, 1, 1)
PREPROCESSING = ImagePreprocessing((3, 32, 32), 255 * MEAN, 255 * STD)


class CIFAR10(TensorData):
    """The official test set; the official training set is split into training and validation.

    Args:
        dir: Root of the data sets; contains `cifar-10-batches-py` in torchvision's layout.
        mirrors: URLs of directories with the archive, tried in turn if files are missing.
        download: Whether the archive may be downloaded.
        classes: Names of the classes to use, numbered in this order. Defaults to all ten.
        val_size: Training photographs (of these classes) used for validation.
        train_size: Number of the remaining photographs to train on, equally many per class. Defaults to all. The
            validation photographs do not depend on it.
        augmentation: Random changes of training photographs, e.g. `[flip, {crop: {padding: 4}}]`; see docs/data.md.
        synthetic: Whether synthetic images replace the photographs; no file is read then.
        data_seed: Seed of the split and of the `train_size` subset; separate from the run's seed.
        sampling, batch_size, eval_batch_size, seed: See `TensorData`.

    Raises:
        UserError: If `classes` has an unknown name, a duplicate or fewer than two names.

    Source:
        A. Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images, University of Toronto.
    """

    preprocessing = PREPROCESSING

    def __init__(
        self,
        *,
        dir: str = "data",  # noqa: A002  the config key is data.dir
        mirrors: Sequence[str] = (),
        download: bool = True,
        classes: Sequence[str] | None = None,
        val_size: PositiveInt = 5000,
        train_size: int | None = None,
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
        self.fetch_options = (Path(dir), tuple(mirrors), download)
        self.classes = CLASSES if classes is None else validate_classes(classes, CLASSES)
        self.val_size = val_size
        self.train_size = train_size
        self.data_seed = data_seed
        self.synthetic = synthetic

    @property
    def spec(self) -> DataSpec:
        """Color images of 32x32 pixels; ten classes or those in `classes`."""
        options = {"synthetic": self.synthetic, "value_range": PREPROCESSING.value_range}
        return make_classification_spec("cifar10", "image", PREPROCESSING.shape, self.classes, **options)

    def load(self) -> dict[Stage, Split]:
        """Read the six files; download the archive first if one is missing."""
        if self.synthetic:
            return make_images(self.spec, self.val_size)
        *train, test = fetch_files(list(FILES.values()), ARCHIVE, *self.fetch_options)
        indices = [CLASSES.index(name) for name in self.classes]
        val, rest = random_split(select_classes(read_batches(train), indices), self.val_size, seed=self.data_seed)
        if self.train_size is not None:
            rest = take_per_class(rest, self.train_size, len(indices))
        return {"train": rest, "val": val, "test": select_classes(read_batch(test), indices)}


def read_batches(paths: Sequence[Path]) -> Split:
    """Read files of equally many photographs into one preallocated split."""
    first = read_batch(paths[0])
    split = Split(*(tensor.new_empty(len(paths) * len(tensor), *tensor.shape[1:]) for tensor in first))
    for index, path in enumerate(paths):
        for target, source in zip(split, read_batch(path) if index else first, strict=True):
            target.view(len(paths), *source.shape)[index] = source
    return split


def read_batch(path: Path) -> Split:
    """Read a CIFAR-10 file: a pickled dict of `data` (n, 3072) in red, green and blue planes, and `labels`.

    A pickle can run code: verify the checksum of the file first.

    Raises:
        UserError: If the file has another format.
    """
    try:
        batch = pickle.loads(path.read_bytes(), encoding="bytes")
        images = np.require(batch[b"data"], np.uint8, ["C", "W"]).reshape(-1, 3, 32, 32)
        labels = torch.tensor(batch[b"labels"], dtype=torch.int64)
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a batch of CIFAR-10 ({error})") from error
    return Split(torch.from_numpy(images), labels)
