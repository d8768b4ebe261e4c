"""What all contestants have to do: read off the very config that ours runs, so that the work cannot differ."""

import csv
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

Examples = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Work:
    """A piece of work by what ours is told.

    Args:
        words: Behind `trainer`, in every measurement; `{reviews}` is a file of some film reviews.
        quick: Further words of a short measurement.
        full: Further words of a thorough one.
        reviews: Film reviews to train on, in a short measurement and in a thorough one.
        template_steps: Steps of the template's way, which needs but few of its slow ones; 0: as many as the others.
    """

    words: tuple[str, ...]
    quick: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    reviews: tuple[int, int] = (0, 0)
    template_steps: tuple[int, int] = (0, 0)


def _images(*words: str, quick: int, val: int = 1) -> Work:
    """One epoch of images; a short measurement takes its first steps and batches of validation alone."""
    limits = (f"+trainer.limit_train_batches={quick}", f"+trainer.limit_val_batches={val}")
    return Work((*words, "trainer.max_epochs=1"), quick=limits)


def _reviews(*words: str) -> Work:
    """One epoch of a sample of reviews, long and short ones as in the whole."""
    sample = ("data.dir={folder}", "data.path={reviews}", "data.vocabulary_size=10000", "data.max_length=500")
    return Work(
        (*words, *sample, "data.val_size=128", "data.test_size=64", "trainer.max_epochs=1"), reviews=(640, 3200)
    )


WORKS = {
    "xor": Work(
        ("experiment=xor_tutorial",),
        quick=("trainer.max_epochs=2000", "trainer.check_val_every_n_epoch=200"),
        template_steps=(200, 1000),
    ),
    "diabetes": Work(("experiment=diabetes_tutorial",), quick=("trainer.max_epochs=20",), template_steps=(87, 580)),
    "stock": Work(
        ("experiment=stock_tutorial",), ("trainer.max_epochs=5",), ("trainer.max_epochs=20",), template_steps=(0, 0)
    ),
    "mnist": _images("experiment=mnist_tutorial", quick=100),
    # the tutorials' batches of 4 are of their own; all other rows have 64
    "cifar10": _images("experiment=cifar10_tutorial", "data.batch_size=64", "trainer.log_every_n_steps=50", quick=140),
    "gan": _images("experiment=gan_tutorial", quick=100),
    "imdb_lstm": _reviews("experiment=imdb_lstm_tutorial"),
    # a quarter of the tutorials' width of 512, which would take minutes
    "imdb_attention": _reviews(
        "experiment=imdb_attention_tutorial", "model.net.width=128", "model.net.feed_forward=128"
    ),
}


@dataclass
class Job:
    """A piece of work for the rivals; plain enough to be saved, and to be read without our framework.

    Args:
        data: Name of the data set.
        net: Ours, with the weights that ours begins with.
        train, val, test: Inputs as stored, and targets.
        pixels: Mean and deviation of images' bytes; None for other inputs.
        loss: bce, cross_entropy or mse.
        adversarial: Whether two nets learn by turns; there is another loss then.
        metrics: By name.
        optimizer: Class in `torch.optim`, and its arguments.
        batch, eval_batch: Examples at a time.
        epochs: Of training.
        steps: In an epoch.
        log_every: Steps from one logged loss to the next.
        check_every: Epochs from one validation to the next.
    """

    data: str
    net: nn.Module
    train: Examples
    val: Examples
    test: Examples
    pixels: tuple[Tensor, Tensor] | None
    loss: str
    adversarial: bool
    metrics: tuple[str, ...]
    optimizer: tuple[str, dict[str, Any]]
    batch: int
    eval_batch: int
    epochs: int
    steps: int
    log_every: int
    check_every: int


def words_of(work: str, folder: Path, *, quick: bool) -> list[str]:
    """What ours is told, without the word `trainer`."""
    one = WORKS[work]
    size = one.reviews[0 if quick else 1]
    places = {"folder": str(folder), "reviews": str(some_reviews(size, folder)) if size else ""}
    return [word.format(**places) for word in (*one.words, *(one.quick if quick else one.full))]


@cache
def job_of(work: str, folder: Path, *, quick: bool, more: tuple[str, ...] = ()) -> Job:
    """The work for a rival."""
    return job_from([*words_of(work, folder, quick=quick), *more])


def job_from(words: list[str]) -> Job:
    """Compose the config as the command does, and build the same net of the same seed on the same data."""
    import pytorch_lightning as pl
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from trainer.build import build, build_net
    from trainer.config import HOME, register

    register()
    with initialize_config_dir(str(HOME / "conf"), version_base="1.3"):
        config = compose("config", words)
    pl.seed_everything(config.seed, verbose=False)
    data = build(config, "data")
    data.setup("fit")
    net, spec = build_net(config, data.spec), data.spec
    objective = build(config, "objective", spec)
    settings = OmegaConf.to_container(config.optimizer, resolve=True)
    settings.pop("_partial_")
    name = settings.pop("_target_").rpartition(".")[2]
    rows, limits = len(data.splits["train"].targets), config.trainer
    val_rows = limits.get("limit_val_batches", len(data.splits["val"].targets)) * data.eval_batch_size
    return Job(
        data=spec.name,
        net=net,
        train=tuple(data.splits["train"]),
        val=tuple(part[:val_rows] for part in data.splits["val"]),
        test=tuple(data.splits["test"]),
        pixels=_pixels(spec.name),
        loss="mse" if spec.target == "values" else "bce" if spec.output_size == 1 else "cross_entropy",
        adversarial=hasattr(net, "generator"),
        metrics=tuple(objective.metrics()),
        optimizer=(name, settings),
        batch=data.batch_size,
        eval_batch=data.eval_batch_size,
        epochs=limits.max_epochs,
        steps=min(-(-rows // data.batch_size), limits.get("limit_train_batches", rows)),
        log_every=limits.log_every_n_steps,
        check_every=limits.check_val_every_n_epoch,
    )


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


def _pixels(data: str) -> tuple[Tensor, Tensor] | None:
    from trainer.data import cifar10, mnist

    if data not in ("mnist", "cifar10"):
        return None
    module = mnist if data == "mnist" else cifar10
    return torch.as_tensor(255 * module.MEAN), torch.as_tensor(255 * module.DEVIATION)
