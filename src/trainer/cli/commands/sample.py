"""New images from a generative network that has been trained.

trainer sample RUN_OR_CHECKPOINT [count=64] [seed=1] [checkpoint=last] [to=DIRECTORY] [trust=my_package]

Writes samples.npy, and samples.png where they are images: into the run directory or, for a checkpoint by itself, into
the working directory.
"""

from pathlib import Path

import numpy as np

from trainer.callbacks.samples import Generative, drawn, tiles
from trainer.cli.commands import split_words
from trainer.core.errors import UserError
from trainer.inference.load_checkpoint import restore

USAGE = "trainer sample RUN_OR_CHECKPOINT [count=64] [seed=1] [checkpoint=last]"
COLUMNS = 8


def main(words: list[str]) -> int:
    """Run the command with the words behind `sample`; the exit status is 0."""
    names, given = split_words(words, ["count", "seed", "checkpoint", "to", "trust"], USAGE)
    if len(names) != 1:
        raise UserError(f"sample: name a run directory or a checkpoint\n  {USAGE}")
    count, seed = (_number(given, name, default, least) for name, default, least in (("count", 64, 1), ("seed", 1, 0)))
    path = Path(names[0])
    folder = Path(given.get("to", path if path.is_dir() else "."))
    for file in sample(path, folder, count, seed, given.get("checkpoint", "last"), given.get("trust", "")):
        print(file)
    return 0


def _number(given: dict[str, str], name: str, default: int, least: int) -> int:
    text = given.get(name, str(default))
    if not text.isdecimal() or int(text) < least:
        raise UserError(f"sample: {name}='{text}' is not a whole number from {least}")
    return int(text)


def sample(path: Path, folder: Path, count: int, seed: int, checkpoint: str = "last", trusted: str = "") -> list[Path]:
    """Write `samples.npy`, and `samples.png` where they are images.

    Args:
        path: A run directory, or a checkpoint.
        folder: Where they go.
        count: Number of samples.
        seed: Of the noise.
        checkpoint: Of the run directory, whose weights are taken.
        trusted: Packages whose code the checkpoint may name.

    Returns:
        The files. `samples.npy` is (count, *shape), in the numbers that the networks read.

    Raises:
        UserError: There is no such checkpoint, its network makes nothing new, or the folder cannot be written to.
    """
    made = restore(path, checkpoint, trusted)
    if not isinstance(made.net, Generative):
        raise UserError(f"'{path}' holds a {type(made.net).__name__}, which makes nothing new; model=gan does")
    samples = drawn(made.net, count, seed)
    files = [folder / "samples.npy"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(files[0], samples.numpy())
        if made.spec.kind == "image":
            files.append(folder / "samples.png")
            tiles(samples, made.spec, COLUMNS).save(files[1])
    except OSError as error:
        raise UserError(f"sample: cannot write to '{folder}': {error.strerror}") from error
    return files
