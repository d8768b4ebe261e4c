"""A sweep with its runs, and the function of the Python API that runs one."""

import math
import os
import secrets
from collections import Counter
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.api.arguments import validate_overrides, validate_path
from trainer.api.files import report
from trainer.api.run import Run
from trainer.artifacts.hparams import collect_hparams
from trainer.artifacts.run_record import find_runs
from trainer.config.diagnostics import raise_on_errors
from trainer.config.schema import register_hydra_plugins
from trainer.core.errors import UserError, display_path
from trainer.core.lazy_imports import lazy_imports
from trainer.core.metric_direction import UNKNOWN_DIRECTION_MESSAGE
from trainer.core.metric_name import list_metrics
from trainer.core.result_table import ResultTable
from trainer.reports.comparison import build_report
from trainer.reports.formats import build_rows

if TYPE_CHECKING:
    from trainer.api.curves import Curves

EXPECTED_AXES = "overrides such as 'data=xor', 'optimizer.lr=0.1,0.01'; a config has no values to combine"


class Sweep:
    """The runs of a sweep. The function `sweep` returns it; `Sweep(directory)` reads an earlier one.

        sweep = trainer.Sweep("outputs/digits_mlp/2026-01-31_12-00-00_a1b2c3")
        sweep.results.to_frame()
        sweep.compare(metric="test/accuracy")
        model = sweep.best.load()

    Args:
        directory: Directory of a sweep, or any directory of runs.

    Attributes:
        directory: The directory.
        runs: The runs, in the order of their numbers.

    Raises:
        UserError: The directory contains no runs.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = validate_path("trainer.Sweep", directory, "the path of a directory")
        self._records = [*find_runs(self.directory)]
        if not self._records:
            raise UserError(f"trainer.Sweep: no runs below '{directory}'")
        self.runs = [Run(record.path) for record in self._records]

    @property
    def results(self) -> ResultTable:
        """Return a row per run: its directory, swept values, state, metrics and seconds."""
        metrics = list_metrics((name for record in self._records for name in record.metrics), "val", "test")
        return ResultTable.from_rows(
            {
                "run": str(record.path.relative_to(self.directory)),
                **collect_hparams(record),
                "state": record.state,
                **{name: record.metrics.get(name) for name in metrics},
                "seconds": record.seconds,
            }
            for record in self._records
        )

    @property
    def best(self) -> Run:
        """Return the run with the best value, of the config with the best mean over its seeds.

        Raises:
            UserError: No run is finished, or it is unknown whether high values of the metric are good.
        """
        comparison = build_report(self.directory)
        if comparison.best is None:
            reason = UNKNOWN_DIRECTION_MESSAGE.format(comparison.metric)
            raise UserError(f"best: {reason}; set sweep.direction=min or sweep.direction=max")
        return Run(comparison.best_run.path)

    def compare(
        self, *, metric: str | None = None, baseline: str | None = None, direction: str | None = None
    ) -> ResultTable:
        """Return a row per config, the best first: mean over its seeds, interval, and difference from a baseline.

        Args:
            metric: Compared metric. Defaults to the sweep's `optimized_metric`, or else to a validation metric.
            baseline: Overrides of a config, e.g. `"optimizer.lr=0.1"`. Defaults to those of the first run.
            direction: `"min"` or `"max"`. Defaults to the direction of the sweep or of the metric.

        Raises:
            UserError: No run is finished, or there is no such metric or config.
        """
        rows = build_rows(build_report(self.directory, metric, baseline, direction))
        return ResultTable.from_rows({name: _nan_to_none(value) for name, value in row.items()} for row in rows)

    def plot(self, *metrics: str) -> "Curves":
        """Return the curves of all runs over the steps, which a notebook shows.

        Args:
            metrics: Names, e.g. `"val/loss"`. Defaults to all metrics of the validation.

        Raises:
            UserError: No run is finished, or none has such a metric.
        """
        with lazy_imports():
            from trainer.api.curves import Curves
            from trainer.reports.sweep_page import build_sweep_curves

        charts = {chart.title: chart for chart in build_sweep_curves(build_report(self.directory))}
        return Curves(display_path(self.directory), charts, metrics or list_metrics(charts, "val"))

    def report(self) -> Path:
        """Write `report.html`, which compares the runs, and return its path."""
        return report(self.directory)

    def __repr__(self) -> str:
        """Return the directory, and the number of runs by state."""
        states = Counter(run.state for run in self.runs)
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        return f"<Sweep '{display_path(self.directory)}': {len(self.runs)} runs, {counts}>"

    def _repr_html_(self) -> str:
        """Return the directory and a table of the runs."""
        return f"<div><code>{escape(display_path(self.directory))}</code>{self.results._repr_html_()}</div>"


def sweep(*overrides: str) -> Sweep:
    """Run a sweep, as the command `trainer --multirun` does: all combinations of the values, each in a run directory.

        sweep = trainer.sweep("data=digits", "model=mlp,cnn", "optimizer.lr=0.01,0.001", "sweep.workers=2")
        sweep.compare()

    The directory, the ledger and the settings, such as `sweep.seeds` and `sweep.n_trials`, are those of the command.
    Finished runs are skipped if the directory `hydra.sweep.dir` contains the same sweep.

    Args:
        overrides: Overrides, of which some have several values, e.g. `"seed=1,2,3"`.

    Raises:
        UserError: An override is invalid, or a run failed; the others are finished before.
    """
    with lazy_imports():
        from trainer.config.hydra_job import run_hydra_multirun
        from trainer.sweeps.preflight import check_overrides
        from trainer.training.run import run

    arguments = validate_overrides("trainer.sweep", overrides, EXPECTED_AXES)
    if options := [argument for argument in arguments if argument.startswith("-")]:
        raise UserError(f"trainer.sweep: cannot use the option {options[0]}; expected {EXPECTED_AXES}")
    os.environ["TRAINER_RUN_SUFFIX"] = secrets.token_hex(3)
    register_hydra_plugins()
    raise_on_errors(check_overrides(["--multirun", *arguments], to_run=True).diagnostics)
    return Sweep(run_hydra_multirun(run, arguments))


def _nan_to_none(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
