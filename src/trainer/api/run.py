"""A run with its results, as the Python API returns it."""

from collections.abc import Mapping
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.api.arguments import validate_path
from trainer.api.files import load, report
from trainer.artifacts.run_record import RunRecord, read_run
from trainer.core.errors import display_path
from trainer.core.formatting import format_number
from trainer.core.lazy_imports import lazy_imports
from trainer.core.metric_name import list_metrics, tabulate_metrics
from trainer.core.result_table import ResultTable

if TYPE_CHECKING:
    from trainer.api.curves import Curves
    from trainer.inference.predictor import Predictor


class Run:
    """A finished run. The functions `train` and `test` return it; `Run(directory)` reads an earlier one.

        run = trainer.Run("outputs/digits_cnn/2026-01-31_12-00-00_a1b2c3")
        run.metrics["test/accuracy"]
        run.history["val/loss"]
        run.plot()
        model = run.load()

    Args:
        directory: Run directory.
        result: Content of its `result.json`. Defaults to that file.

    Attributes:
        directory: Run directory.

    Raises:
        UserError: The directory is not a run directory.
    """

    def __init__(self, directory: str | Path, result: Mapping[str, Any] | None = None) -> None:
        self.directory = validate_path("trainer.Run", directory, "the path of a run directory")
        self._record = RunRecord(self.directory) if result else read_run(str(directory))
        self._result = result or self._record.result

    @property
    def state(self) -> str:
        """Return `finished`, or else e.g. `running`, `interrupted`, `failed` or `killed`."""
        return self._record.state

    @property
    def config(self) -> dict[str, Any]:
        """Return the complete config, as nested dictionaries."""
        return self._record.nested_config

    @property
    def metrics(self) -> dict[str, float | None]:
        """Return the final metrics by name, e.g. `test/accuracy`; None if a value was not finite."""
        return dict(self._result.get("metrics", {}))

    @property
    def checkpoint(self) -> Path | None:
        """Return the best checkpoint; None if no checkpoint was saved."""
        checkpoint = self._result.get("checkpoint")
        return Path(checkpoint) if checkpoint else None

    @cached_property
    def history(self) -> ResultTable:
        """Return the metrics of training and validation, with a row per epoch.

        `history["val/loss"]` is a list, and `history.to_frame()` a data frame of pandas. It is empty if no file
        `metrics.csv` was written.
        """
        return ResultTable.from_rows(self._record.read_history())

    def load(self, *, trust: str = "") -> "Predictor":
        """Load the trained network, as `trainer.load` does.

        Args:
            trust: Comma-separated packages whose code the config may use.
        """
        return load(self.directory, trust=trust)

    def report(self) -> Path:
        """Write `report.html` with results, curves and images, and return its path."""
        return report(self.directory)

    def plot(self, *metrics: str) -> "Curves":
        """Return the curves of training and validation over the steps, which a notebook shows.

        Args:
            metrics: Names without their stage, e.g. `"loss"`. Defaults to the metrics of training or validation.

        Raises:
            UserError: The run has no such metric.
        """
        with lazy_imports():
            from trainer.api.curves import Curves
            from trainer.reports.run_page import build_curves

        charts = {chart.title: chart for chart in build_curves(self._record)}
        return Curves(display_path(self.directory), charts, metrics or _select_staged(charts))

    def __repr__(self) -> str:
        """Return directory, state, and the metrics of the test, or else of the validation."""
        names = list_metrics(self.metrics, "test") or list_metrics(self.metrics, "val")
        values = [f"{name} {format_number(self.metrics[name])}" for name in names]
        return f"<Run '{display_path(self.directory)}': {', '.join([self.state, *values])}>"

    def _repr_html_(self) -> str:
        """Return a table of the metrics, and the directory."""
        finite = {name: value for name, value in self.metrics.items() if value is not None}
        header, *rows = next((table for table in tabulate_metrics(finite, format_number, {})), [["metric"]])
        table = ResultTable({name: [row[index] for row in rows] for index, name in enumerate(header)})
        title = f"<code>{escape(display_path(self.directory))}</code>: {escape(self.state)}"
        return f"<div>{title}{table._repr_html_()}</div>"


def _select_staged(charts: Mapping[str, Any]) -> list[str]:
    """Return the charts with a line of training or validation; all if there are none."""
    staged = [name for name, chart in charts.items() if any(label in ("train", "val") for label, _ in chart.legend)]
    return staged or [*charts]
