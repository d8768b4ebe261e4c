"""Workloads of the benchmarks, as overrides of our command. Imports no torch."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workload:
    """A workload as overrides of our command.

    Args:
        overrides: Overrides of every measurement; `{reviews}` is a file of film reviews.
        quick: Further overrides of a short measurement.
        full: Further overrides of a long measurement.
        recommended: Overrides that select our own experiment for the same data instead, if it is measured as well.
        reviews: Number of training reviews in a short and in a long measurement.
        template_steps: Steps of the template in a short and in a long measurement; 0 for as many as the others.
        needs: Required file or directory in TRAINER_DATA_DIR.
    """

    overrides: tuple[str, ...]
    quick: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    recommended: tuple[str, ...] = ()
    reviews: tuple[int, int] = (0, 0)
    template_steps: tuple[int, int] = (0, 0)
    needs: str = ""


def _images(*overrides: str, quick: int, epochs: int = 1, needs: str = "MNIST") -> Workload:
    """Return a workload of complete epochs; a short measurement runs the first steps of one."""
    limits = (f"+trainer.limit_train_batches={quick}", "+trainer.limit_val_batches=1")
    return Workload(overrides, (*limits, "trainer.max_epochs=1"), (f"trainer.max_epochs={epochs}",), needs=needs)


def _reviews(experiment: str, *overrides: str) -> Workload:
    """Return a workload of one epoch of a sample of reviews, with the same distribution of lengths as all reviews."""
    sample = ("data.dir={directory}", "data.path={reviews}", "data.val_size=128", "data.test_size=64")
    one_epoch = (*sample, "trainer.max_epochs=1")
    return Workload(
        (*overrides, *one_epoch, "data.vocabulary_size=10000", "data.max_length=500"),
        recommended=(f"experiment={experiment}", *one_epoch),
        reviews=(1280, 3200),
    )


WORKLOADS = {
    "xor": Workload(
        ("experiment=xor_tutorial",),
        quick=("trainer.max_epochs=20",),
        template_steps=(200, 1000),
    ),
    "diabetes": Workload(
        ("experiment=diabetes_tutorial",),
        quick=("trainer.max_epochs=20",),
        template_steps=(87, 580),
        needs="diabetes",
    ),
    "stock": Workload(
        ("experiment=stock_tutorial",),
        quick=("trainer.max_epochs=5",),
        full=("trainer.max_epochs=20",),
        needs="stocks",
    ),
    "mnist": _images("experiment=mnist_tutorial", quick=100),
    # the tutorial has batches of 4, all other workloads 64
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
    # a quarter of the tutorial's width of 512, which would take minutes
    "imdb_attention": _reviews(
        "imdb_attention", "experiment=imdb_attention_tutorial", "model.net.width=128", "model.net.feed_forward=128"
    ),
}
# workloads of the groups that are not workloads themselves
WORKLOAD_BY_GROUP = {"test": "mnist", "small_jobs": "diabetes", "overhead": "diabetes"}
WORKLOAD_BY_GROUP |= {"memory_mnist": "mnist", "memory_cifar10": "cifar10"}


def build_overrides(name: str, directory: Path, *, quick: bool, recommended: bool = False) -> list[str]:
    """Return the overrides of our command for a workload."""
    workload = WORKLOADS[name]
    count = workload.reviews[0 if quick else 1]
    paths = {"directory": str(directory), "reviews": str(write_reviews(count, directory)) if count else ""}
    overrides = workload.recommended if recommended else workload.overrides
    return [override.format(**paths) for override in (*overrides, *(workload.quick if quick else workload.full))]


def write_reviews(count: int, directory: Path) -> Path:
    """Write a CSV file of `count` training reviews and 192 more, taken at equal distances from the official ones."""
    file = directory / f"reviews_{count}.csv"
    if file.exists():
        return file
    root = Path(os.environ.get("TRAINER_DATA_DIR", "data")) / "aclImdb" / "train"
    n_class = (count + 192 + 64) // 2  # of each class, with a reserve, as duplicate texts are dropped
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for name, label in (("neg", "negative"), ("pos", "positive")):
            texts = sorted((root / name).glob("*.txt"))
            for text in texts[:: len(texts) // n_class][:n_class]:
                writer.writerow([text.read_text(), label])
    return file
