"""Kuzushiji-MNIST data set of 70,000 handwritten Japanese characters of 28x28 pixels in ten classes."""

from trainer.data.mnist import MNIST, SHAPE, list_files
from trainer.data.preprocessing.images import ImagePreprocessing

# of the training pixels, scaled to [0, 1]
MEAN = 0.1918
STD = 0.3483


class KMNIST(MNIST):
    """The official test set; the official training set is split into training and validation. See `MNIST`.

    Source:
        T. Clanuwat, M. Bober-Irizar, A. Kitamoto, A. Lamb, K. Yamamoto, D. Ha 2018, Deep Learning for Classical
        Japanese Literature.
    """

    name = "kmnist"
    files = list_files(
        "KMNIST",
        {
            "train-images-idx3-ubyte": ("", "bdb82020997e1d708af4cf47b453dcf7"),
            "train-labels-idx1-ubyte": ("", "e144d726b3acfaa3e44228e80efcd344"),
            "t10k-images-idx3-ubyte": ("", "5c965bf0a639b31b8f53240b1b52f4d7"),
            "t10k-labels-idx1-ubyte": ("", "7320c461ea6c1c855c0b718fb2a4b134"),
        },
        "data.verify_checksums=false",
    )
    classes = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    preprocessing = ImagePreprocessing(SHAPE, 255 * MEAN, 255 * STD)
