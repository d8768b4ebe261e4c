"""Fashion-MNIST data set of 70,000 grayscale images of clothing with 28x28 pixels."""

from trainer.data.mnist import MNIST, SHAPE, list_files
from trainer.data.preprocessing.images import ImagePreprocessing

# of the training pixels, scaled to [0, 1]
MEAN = 0.2860
STD = 0.3530


class FashionMNIST(MNIST):
    """The official test set; the official training set is split into training and validation. See `MNIST`.

    Source:
        H. Xiao, K. Rasul, R. Vollgraf 2017, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
        Algorithms.
    """

    name = "fashion_mnist"
    files = list_files(
        "FashionMNIST",
        {
            "train-images-idx3-ubyte": ("", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            "train-labels-idx1-ubyte": ("", "25c81989df183df01b3e8a0aad5dffbe"),
            "t10k-images-idx3-ubyte": ("", "bef4ecab320f06d8554ea6380940ec79"),
            "t10k-labels-idx1-ubyte": ("", "bb300cfdad3c16e7a12a480ee83cd310"),
        },
        "data.verify_checksums=false",
    )
    classes = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
    preprocessing = ImagePreprocessing(SHAPE, 255 * MEAN, 255 * STD)
