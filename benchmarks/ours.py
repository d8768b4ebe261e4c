"""Ours: the real command, in this process, with all its callbacks and loggers, and a stopwatch beside them."""

import sys
import time
from pathlib import Path

from laps import drawn, laps

from trainer.cli.main import main

STOPWATCH = "+callbacks.stopwatch._target_=stopwatch.Stopwatch"


def train(words: list[str], folder: Path) -> tuple[int, float]:
    """Train as the command does: steps and seconds."""
    return run([*words, "test=false", STOPWATCH], folder)


def whole(words: list[str], folder: Path) -> tuple[int, float]:
    """One run with its test, from the config to the last file: 1, and its seconds."""
    began = time.perf_counter()
    run([*words, STOPWATCH], folder, laps_of_it=2)
    return 1, time.perf_counter() - began


def test(words: list[str], folder: Path) -> tuple[int, float]:
    """Test a checkpoint as the command does, one that a short training has left: examples and seconds."""
    left = folder / "to_test"
    if not left.exists():
        run([*words, "test=false", "+trainer.limit_train_batches=100", "+trainer.limit_val_batches=1", STOPWATCH], left)
    checkpoint = next(left.rglob("last.ckpt"))
    return run([*words, "train=false", f"ckpt_path='{checkpoint}'", STOPWATCH], folder)


def whole_test(words: list[str], folder: Path) -> tuple[int, float]:
    """The same, with what is summed up and drawn after the last batch."""
    examples, seconds = test(words, folder)
    return examples, seconds + drawn[-1]


def run(words: list[str], folder: Path, laps_of_it: int = 1) -> tuple[int, float]:
    """Run the command; what its stopwatch noted."""
    sys.argv = ["trainer", *words, f"outputs='{folder}'"]
    before, path = len(laps), sys.path[:]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"{' '.join(sys.argv)}: {end.code}") from end
    finally:
        sys.path[:] = path
    if len(laps) != before + laps_of_it:
        raise RuntimeError(f"{' '.join(sys.argv)}: the stopwatch noted {len(laps) - before} laps")
    return laps[-1]
