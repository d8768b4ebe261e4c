"""Ours: the real command, in this process, with all its callbacks and loggers, and a stopwatch beside them."""

import sys
from pathlib import Path

from trainer.cli import main

STOPWATCH = "+callbacks.stopwatch._target_=stopwatch.Stopwatch"


def train(words: list[str], folder: Path) -> tuple[int, float]:
    """Train as the command does: steps and seconds."""
    return run([*words, "test=false", STOPWATCH], folder)


def test(words: list[str], folder: Path) -> tuple[int, float]:
    """Test a checkpoint as the command does, one that a step of training has left: examples and seconds."""
    left = folder / "to_test"
    if not left.exists():
        run([*words, "test=false", "+trainer.limit_train_batches=1", "+trainer.limit_val_batches=1", STOPWATCH], left)
    checkpoint = next(left.rglob("last.ckpt"))
    return run([*words, "train=false", f"ckpt_path='{checkpoint}'", STOPWATCH], folder)


def run(words: list[str], folder: Path) -> tuple[int, float]:
    """Run the command; what its stopwatch noted."""
    from stopwatch import laps  # it imports Lightning, which the command imports when it needs it

    sys.argv = ["trainer", *words, f"outputs='{folder}'"]
    before, path = len(laps), sys.path[:]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"{' '.join(sys.argv)}: {end.code}") from end
    finally:
        sys.path[:] = path
    if len(laps) != before + 1:
        raise RuntimeError(f"{' '.join(sys.argv)}: the stopwatch noted {len(laps) - before} laps")
    return laps[-1]
