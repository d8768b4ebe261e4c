"""Our command in this process, with all default callbacks and loggers, and a stopwatch."""

import sys
import time
from pathlib import Path

from timings import plot_seconds, timings

from trainer.cli.main import main

STOPWATCH = "+callbacks.stopwatch._target_=stopwatch.Stopwatch"


def train(overrides: list[str], directory: Path) -> tuple[int, float]:
    """Train; return steps and seconds."""
    return run([*overrides, "test=false", STOPWATCH], directory)


def run_all(overrides: list[str], directory: Path) -> tuple[int, float]:
    """Train and test, from the config to the last file; return 1 and the seconds."""
    start = time.perf_counter()
    run([*overrides, STOPWATCH], directory, n_timings=2)
    return 1, time.perf_counter() - start


def test(overrides: list[str], directory: Path) -> tuple[int, float]:
    """Test the checkpoint of a short training; return examples and seconds."""
    training = directory / "to_test"
    if not training.exists():
        short = ["test=false", "+trainer.limit_train_batches=100", "+trainer.limit_val_batches=1"]
        run([*overrides, *short, STOPWATCH], training)
    checkpoint = next(training.rglob("last.ckpt"))
    return run([*overrides, "train=false", f"ckpt_path='{checkpoint}'", STOPWATCH], directory)


def test_with_plots(overrides: list[str], directory: Path) -> tuple[int, float]:
    """Test; return examples and seconds, with the metrics and plots after the last batch."""
    examples, seconds = test(overrides, directory)
    return examples, seconds + plot_seconds[-1]


def run(overrides: list[str], directory: Path, n_timings: int = 1) -> tuple[int, float]:
    """Run the command; return the last measurement of its stopwatch."""
    sys.argv = ["trainer", *overrides, f"outputs='{directory}'"]
    count = len(timings)
    path = sys.path[:]
    try:
        main()
    except SystemExit as error:
        if error.code:
            raise RuntimeError(f"{' '.join(sys.argv)}: {error.code}") from error
    finally:
        sys.path[:] = path
    if len(timings) != count + n_timings:
        raise RuntimeError(f"{' '.join(sys.argv)}: {len(timings) - count} measurements; expected {n_timings}")
    return timings[-1]
