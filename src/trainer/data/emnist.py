"""EMNIST data set of up to 814,255 handwritten letters and digits of 28x28 pixels, in six official splits."""

import string
from collections.abc import Sequence
from typing import Literal

from trainer.core.spec import PositiveInt
from trainer.data.augmentation.augmentation import AugmentationSetting
from trainer.data.io.archive import fetch_archive
from trainer.data.io.download import DataFile
from trainer.data.io.zip_archive import unpack_gzip_members
from trainer.data.loading.class_balance import Sampling
from trainer.data.loading.split import Split, Stage
from trainer.data.mnist import MNIST, SHAPE, read_examples
from trainer.data.preprocessing.images import ImagePreprocessing

EmnistSplit = Literal["balanced", "byclass", "bymerge", "letters", "digits", "mnist"]

FOLDER = "EMNIST/raw"  # torchvision's layout
ARCHIVE = DataFile(f"{FOLDER}/gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e")
# of the training pixels of `balanced`, scaled to [0, 1]; the other splits are similar
MEAN = 0.1751
STD = 0.3332
CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
# lower case and upper case of these letters look alike and are one class
MERGED_CHARACTERS = CHARACTERS.translate(str.maketrans("", "", "cijklmopsuvwxyz"))
CLASSES: dict[EmnistSplit, str] = {
    "balanced": MERGED_CHARACTERS,
    "byclass": CHARACTERS,
    "bymerge": MERGED_CHARACTERS,
    "letters": string.ascii_lowercase,
    "digits": string.digits,
    "mnist": string.digits,
}


class EMNIST(MNIST):
    """The official test set; the official training set is split into training and validation.

    Args:
        split: Characters: `"balanced"` has 47 classes of equal size, `"byclass"` all 62 digits and letters,
            `"bymerge"` the 47 classes with all images, `"letters"` 26 without case, `"digits"` and `"mnist"` 10.
        dir, mirrors, download, val_size, augmentation, synthetic, data_seed: See `MNIST`.
        sampling, batch_size, eval_batch_size, seed: See `TensorData`.

    Source:
        G. Cohen, S. Afshar, J. Tapson, A. van Schaik 2017, EMNIST: an extension of MNIST to handwritten letters.
    """

    name = "emnist"
    preprocessing = ImagePreprocessing(SHAPE, 255 * MEAN, 255 * STD)

    def __init__(
        self,
        *,
        split: EmnistSplit = "balanced",
        dir: str = "data",  # noqa: A002  the config key is data.dir
        mirrors: Sequence[str] = (),
        download: bool = True,
        val_size: PositiveInt = 5000,
        augmentation: AugmentationSetting = (),
        synthetic: bool = False,
        data_seed: int = 0,
        sampling: Sampling = None,
        batch_size: int = 64,
        eval_batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        super().__init__(
            dir=dir,
            mirrors=mirrors,
            download=download,
            val_size=val_size,
            augmentation=augmentation,
            synthetic=synthetic,
            data_seed=data_seed,
            sampling=sampling,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            seed=seed,
        )
        self.split = split
        self.classes = tuple(CLASSES[split])

    def read_part(self, part: Stage) -> Split:
        """Read the official training or test images; unpack them first if they are missing."""
        names = [f"emnist-{self.split}-{part}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]
        images, labels = (self.root / FOLDER / name for name in names)
        missing = {f"gzip/{path.name}.gz": path for path in (images, labels) if not path.exists()}
        if missing:
            content = f"files into {images.parent}: {', '.join(path.name for path in missing.values())}"
            archive = fetch_archive(ARCHIVE, self.root, self.mirrors, self.download, content)
            unpack_gzip_members(archive, missing)
        inputs, targets = read_examples(images, labels)
        first_class = 1 if self.split == "letters" else 0
        # the files contain columns instead of rows
        return Split(inputs.transpose(2, 3).contiguous(), targets - first_class)
