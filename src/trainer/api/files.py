"""Functions of the Python API that read the files of finished runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from trainer.api.arguments import validate_path
from trainer.core.errors import UserError
from trainer.core.lazy_imports import lazy_imports
from trainer.reports.report_file import DEFAULT_FILENAME, write_report_file

if TYPE_CHECKING:  # imports torch
    from trainer.inference.predictor import Predictor


def load(path: str | Path, *, trust: str = "") -> "Predictor":
    """Load a trained network for predictions.

        model = trainer.load("outputs/digits_cnn/2026-01-31_12-00-00_a1b2c3")
        model.predict(["a.png", "b.png"])

    Args:
        path: Checkpoint, or run directory whose best checkpoint is loaded.
        trust: Comma-separated packages whose code the checkpoint's config may use.

    Raises:
        UserError: The checkpoint does not exist, is corrupted, or uses untrusted code.
    """
    with lazy_imports():
        from trainer.inference.load_checkpoint import load_checkpoint
        from trainer.inference.predictor import Predictor

    return Predictor(load_checkpoint(validate_path("trainer.load", path), trusted=trust))


def report(
    directory: str | Path,
    to: str | Path | None = None,
    *,
    metric: str | None = None,
    baseline: str | None = None,
    direction: str | None = None,
) -> Path:
    """Write the report of a run, or of all runs in a directory, as one file, and return its path.

        trainer.report("outputs/sweep", metric="test/accuracy", baseline="optimizer.lr=0.1")

    Args:
        directory: Run directory, or a directory of runs, such as that of a sweep.
        to: Output file, `.html` or `.md`. Defaults to `report.html` in the directory.
        metric: Metric that compares several runs. Defaults to the sweep's `optimized_metric`, or else to a validation
            metric.
        baseline: Overrides of the runs that others are compared with. Defaults to those of the first run.
        direction: `"min"` or `"max"`. Defaults to the direction of the sweep or of the metric.

    Raises:
        UserError: The directory contains no run, or the report cannot be written.
    """
    path = validate_path("trainer.report", directory, "the path of a directory")
    file = validate_path("trainer.report", to, "the path of a file") if to else path / DEFAULT_FILENAME
    if file.suffix not in (".html", ".md"):
        raise UserError(f"trainer.report: to: '{file}' has the wrong format; expected a file that ends in .html or .md")
    write_report_file(path, file, metric, baseline, direction)
    return file
