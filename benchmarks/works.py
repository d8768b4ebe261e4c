"""The pieces of work, by the words that ours is told. Imports no torch."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Work:
    """A piece of work by what ours is told.

    Args:
        words: Behind `trainer`, in every measurement; `{reviews}` is a file of some film reviews.
        quick: Further words of a short measurement.
        full: Further words of a thorough one.
        recipe: In place of `words`, those of our own recipe for the same data, if it is measured as well.
        reviews: Film reviews to train on, in a short measurement and in a thorough one.
        needs: What has to lie below TRAINER_DATA_DIR.
        template_steps: Steps of the template's way, which needs but few of its slow ones; 0: as many as the others.
    """

    words: tuple[str, ...]
    quick: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    recipe: tuple[str, ...] = ()
    reviews: tuple[int, int] = (0, 0)
    template_steps: tuple[int, int] = (0, 0)
    needs: str = ""


def _images(*words: str, quick: int, epochs: int = 1, needs: str = "MNIST") -> Work:
    """Whole epochs of images; a short measurement takes the first steps of one and a batch of validation alone."""
    limits = (f"+trainer.limit_train_batches={quick}", "+trainer.limit_val_batches=1")
    return Work(words, (*limits, "trainer.max_epochs=1"), (f"trainer.max_epochs={epochs}",), needs=needs)


def _reviews(recipe: str, *words: str) -> Work:
    """One epoch of a sample of reviews, long and short ones as in the whole."""
    sample = ("data.dir={folder}", "data.path={reviews}", "data.val_size=128", "data.test_size=64")
    once = (*sample, "trainer.max_epochs=1")
    return Work(
        (*words, *once, "data.vocabulary_size=10000", "data.max_length=500"),
        recipe=(f"experiment={recipe}", *once),
        reviews=(1280, 3200),
    )


WORKS = {
    "xor": Work(
        ("experiment=xor_tutorial",),
        quick=("trainer.max_epochs=20",),
        template_steps=(200, 1000),
    ),
    "diabetes": Work(
        ("experiment=diabetes_tutorial",),
        quick=("trainer.max_epochs=20",),
        template_steps=(87, 580),
        needs="diabetes",
    ),
    "stock": Work(
        ("experiment=stock_tutorial",),
        quick=("trainer.max_epochs=5",),
        full=("trainer.max_epochs=20",),
        needs="stocks",
    ),
    "mnist": _images("experiment=mnist_tutorial", quick=100),
    # the tutorials' batches of 4 are of their own; all other rows have 64
    "cifar10": _images(
        "experiment=cifar10_tutorial",
        "data.batch_size=64",
        "trainer.log_every_n_steps=50",
        quick=140,
        epochs=3,
        needs="cifar-10-batches-py",
    ),
    "gan": _images("experiment=gan_tutorial", quick=100),
    "imdb_lstm": _reviews("imdb_lstm", "experiment=imdb_lstm_tutorial"),
    # a quarter of the tutorials' width of 512, which would take minutes
    "imdb_attention": _reviews(
        "imdb_attention", "experiment=imdb_attention_tutorial", "model.net.width=128", "model.net.feed_forward=128"
    ),
}
# groups of rows that are of another's work
LIKE = {"test": "mnist", "small_jobs": "diabetes", "overhead": "diabetes"}
LIKE |= {"memory_mnist": "mnist", "memory_cifar10": "cifar10"}


def words_of(work: str, folder: Path, *, quick: bool, by_recipe: bool = False) -> list[str]:
    """What ours is told, without the word `trainer`."""
    one = WORKS[work]
    size = one.reviews[0 if quick else 1]
    places = {"folder": str(folder), "reviews": str(some_reviews(size, folder)) if size else ""}
    return [
        word.format(**places)
        for word in (*(one.recipe if by_recipe else one.words), *(one.quick if quick else one.full))
    ]


def some_reviews(size: int, folder: Path) -> Path:
    """A CSV file of `size` film reviews to train on and 192 more, every so many of the official training ones."""
    file = folder / f"reviews_{size}.csv"
    if file.exists():
        return file
    root = Path(os.environ.get("TRAINER_DATA_DIR", "data")) / "aclImdb" / "train"
    wanted = (size + 192 + 64) // 2  # of each class, a few more than needed, as texts that repeat are left out
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for name, label in (("neg", "negative"), ("pos", "positive")):
            texts = sorted((root / name).glob("*.txt"))
            for text in texts[:: len(texts) // wanted][:wanted]:
                writer.writerow([text.read_text(), label])
    return file
