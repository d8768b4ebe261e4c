"""New images from the generative network of a run that is over.

trainer sample RUN_DIRECTORY [count=64] [seed=1] [checkpoint=last]

Writes samples.npy, and samples.png where they are images, into the run directory.
"""

from pathlib import Path

import numpy as np

from trainer.artifacts.restore import restore
from trainer.callbacks.samples import Generative, drawn, tiles
from trainer.errors import UserError, did_you_mean

USAGE = "trainer sample RUN_DIRECTORY [count=64] [seed=1] [checkpoint=last]"
COLUMNS = 8


def main(words: list[str]) -> int:
    """Run the command with the words behind `sample`; the exit status is 0."""
    for file in sample(*arguments(words)):
        print(file)
    return 0


def arguments(words: list[str]) -> tuple[Path, int, int, str]:
    """Run directory, number of images, seed and checkpoint from the command line.

    Raises:
        UserError: Something is missing, unknown or no number.
    """
    if not words or "=" in words[0]:
        raise UserError(f"sample: name the directory of a run\n  {USAGE}")
    given = {"count": "64", "seed": "1", "checkpoint": "last"}
    for word in words[1:]:
        name, _, value = word.partition("=")
        if name not in given:
            raise UserError(f"sample: there is no '{name}'{did_you_mean(name, [*given])}\n  {USAGE}")
        given[name] = value
    for name, least in (("count", 1), ("seed", 0)):
        if not given[name].isdecimal() or int(given[name]) < least:
            raise UserError(f"sample: {name}='{given[name]}' is not a whole number from {least}")
    return Path(words[0]), int(given["count"]), int(given["seed"]), given["checkpoint"]


def sample(run: Path, count: int, seed: int, checkpoint: str = "last") -> list[Path]:
    """Write `samples.npy`, and `samples.png` where they are images, into the run directory.

    Args:
        run: The run directory.
        count: Number of samples.
        seed: Of the noise.
        checkpoint: Whose weights are taken.

    Returns:
        The files. `samples.npy` is (count, *shape), in the numbers that the networks read.

    Raises:
        UserError: There is no such run or checkpoint, or its network makes nothing new.
    """
    net, spec = restore(run, checkpoint)
    if not isinstance(net, Generative):
        raise UserError(f"'{run}' holds a {type(net).__name__}, which makes nothing new; model=gan does")
    samples = drawn(net, count, seed)
    files = [run / "samples.npy"]
    np.save(files[0], samples.numpy())
    if spec.kind == "image":
        files.append(run / "samples.png")
        tiles(samples, spec, COLUMNS).save(files[1])
    return files
