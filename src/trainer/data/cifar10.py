"""CIFAR-10: 60,000 colour photographs of 32x32 pixels in ten classes."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import Count, DataSpec
from trainer.data.base import TensorData
from trainer.data.io.archive import find_all
from trainer.data.io.download import DataFile
from trainer.data.loading.augment import random_crop, random_mirror
from trainer.data.loading.counter_rng import Draws
from trainer.data.loading.split import Split, Stage, chosen, cut, first_of_each, of_classes
from trainer.data.preprocessing.images import Images
from trainer.data.synthetic import images

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
# of the training pixels of each colour, scaled to [0, 1]
MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
DEVIATION = torch.tensor([0.2470, 0.2435, 0.2616]).view(3, 1, 1)
IMAGES = Images((3, 32, 32), 255 * MEAN, 255 * DEVIATION)


class CIFAR10(TensorData):
    """The official test photographs, and the official training ones cut into train and validation.

    Args:
        dir: Root of the data sets; the files lie in `cifar-10-batches-py` below it, as torchvision puts them.
        mirrors: URLs that the archive is fetched from, in turn, where files are missing.
        download: Whether the archive may be fetched.
        classes: Only these, by name, numbered in this order; None takes all ten.
        val_size: Training photographs (of these classes) kept for validation.
        train_size: Train on so many of the rest, equally many of each class; None takes all. The same validation
            photographs are kept whatever it is.
        mirror: Half of the training photographs, chosen at random, are turned left to right.
        shift_pixels: Training photographs are shifted at random by up to this many whole pixels along each axis.
        synthetic: Whether made-up images stand in for the photographs; no file is read then.
        data_seed: Of the cut and of the few that are trained on; not the run's seed, so that runs compare.
        batch_size, eval_batch_size, seed: See `TensorData`.

    Raises:
        UserError: `classes` has an unknown name, a name twice or fewer than two.

    Source:
        A. Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images, University of Toronto.
    """

    preprocessing = IMAGES

    def __init__(
        self,
        *,
        dir: str = "data",  # noqa: A002  the word users type: data.dir
        mirrors: Sequence[str] = (),
        download: bool = True,
        classes: Sequence[str] | None = None,
        val_size: Count = 5000,
        train_size: int | None = None,
        mirror: bool = False,
        shift_pixels: int = 0,
        synthetic: bool = False,
        data_seed: int = 0,
        batch_size: int = 64,
        eval_batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        self.root, self.mirrors, self.download = Path(dir), tuple(mirrors), download
        self.classes = CLASSES if classes is None else chosen(classes, CLASSES)
        self.val_size, self.train_size, self.data_seed = val_size, train_size, data_seed
        self.mirror, self.shift_pixels, self.synthetic = mirror, shift_pixels, synthetic

    @property
    def spec(self) -> DataSpec:
        """Colour images of 32x32 pixels, ten classes or those that were chosen."""
        limits = ((-MEAN / DEVIATION).min().item(), ((1 - MEAN) / DEVIATION).max().item())
        outputs = 1 if len(self.classes) == 2 else len(self.classes)
        names, made = self.classes, self.synthetic
        return DataSpec("cifar10", "image", IMAGES.shape, "classes", outputs, names, synthetic=made, value_range=limits)

    def load(self) -> dict[Stage, Split]:
        """Find the six files, fetching the archive where one is missing, and read them."""
        if self.synthetic:
            return images(self.spec, self.val_size)
        *train, test = find_all(list(FILES.values()), ARCHIVE, self.root, self.mirrors, self.download)
        numbers = [CLASSES.index(name) for name in self.classes]
        val, rest = cut(of_classes(read_batches(train), numbers), self.val_size, seed=self.data_seed)
        if self.train_size is not None:
            rest = first_of_each(rest, self.train_size, len(numbers))
        return {"train": rest, "val": val, "test": of_classes(read_batch(test), numbers)}

    def augment(self, inputs: Tensor, random: Draws) -> Tensor:
        """Mirror and shift each photograph at random; what comes in from outside is grey."""
        if self.mirror:
            inputs = random_mirror(inputs, random)
        return random_crop(inputs, random, shift_pixels=self.shift_pixels) if self.shift_pixels else inputs


def read_batches(paths: Sequence[Path]) -> Split:
    """Read files of equally many photographs, each straight into its place: memory that is new takes time to get."""
    first = read_batch(paths[0])
    whole = Split(*(part.new_empty(len(paths) * len(part), *part.shape[1:]) for part in first))
    for place, path in enumerate(paths):
        for part, new in zip(whole, read_batch(path) if place else first, strict=True):
            part.view(len(paths), *new.shape)[place] = new
    return whole


def read_batch(path: Path) -> Split:
    """Read one of CIFAR-10's files: a pickled dict of `data` (n, 3072), planes red, green and blue, and `labels`.

    A pickle can run code, so only a file whose checksum was verified may come here.

    Raises:
        UserError: It is no such file.
    """
    try:
        batch = pickle.loads(path.read_bytes(), encoding="bytes")
        images = np.require(batch[b"data"], np.uint8, ["C", "W"]).reshape(-1, 3, 32, 32)
        labels = torch.tensor(batch[b"labels"], dtype=torch.int64)
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a batch of CIFAR-10 ({error})") from error
    return Split(torch.from_numpy(images), labels)
