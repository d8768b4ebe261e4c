"""Forecasting data set with windows of prices, or of another time series, from a file, split in time."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec, Fraction
from trainer.data.base import TensorData
from trainer.data.io.data_path import fetch_path, find_path
from trainer.data.io.series.series_report import describe_disorder, describe_jumps, describe_series
from trainer.data.io.series.time_series import TimeSeries, read_series
from trainer.data.io.tables.date_format import DateFormat
from trainer.data.io.tables.date_text import DateOrder
from trainer.data.io.tables.dialect_detection import refuse_unused_settings
from trainer.data.loading.folds import make_fold
from trainer.data.loading.split import Split, Stage
from trainer.data.loading.window_split import split_windows
from trainer.data.preprocessing.float_range import find_unusable_number
from trainer.data.preprocessing.price_windows import Quantity, WindowPreprocessing
from trainer.data.synthetic import make_prices

log = logging.getLogger(__name__)


class PriceForecast(NamedTuple):
    """Forecasts and actual prices, one entry per window, in the currency of the file."""

    days: list[str]  # days of the forecasts, e.g. 2004-08-19
    forecast: Tensor
    today: Tensor  # last price of the window: the naive forecast
    actual: Tensor


class Stock(TensorData):
    """The last `window` rows of a time series, and its price `horizon` rows later.

    A row is a day, or whatever the time between two rows of the file is. The rows are split in order: training,
    validation, test. A window belongs to a split if all its targets do; its input may start in the previous split.
    Inputs are scaled to mean 0 and standard deviation 1 over the training rows; targets have the unit of the quantity.

    Args:
        dir: Root of the data sets.
        path: The file: relative to the working directory or to `dir`, absolute, or an http(s) URL.
        md5: Checksum of the file, or `CHECKSUM FILE` as md5sum prints it, which applies to this file only. Required
            for a URL.
        date_column: Name or index (from 0) of the column of dates; None recognizes it.
        price_column: Name or index of the column of the price; None recognizes it: an adjusted close before a close.
        input_columns: Names or indices of the input columns, or `"all"` columns of numbers. Defaults to the price.
        date_format: Order of the dates, e.g. `"day_first"`; needed only if day and month are ambiguous.
        delimiter: Delimiter of the cells; None recognizes it.
        encoding: Encoding of the text; None recognizes it.
        header: Whether the first line contains the column names; None recognizes it.
        quantity: Input and target of the network: `"prices"`, or log-`"returns"`, which are of one row in the input
            and over `horizon` rows in the target.
        window: Number of prices or returns in a window.
        horizon: Rows from the last row of a window to the target, or a list of them; each is an output.
        synthetic: Whether synthetic prices replace the file, which is not read then.
        val_fraction: Fraction of all rows for validation; with folds, of the rows before the test.
        test_fraction: Fraction of all rows, the last ones, for test.
        folds, fold: Number of folds of a cross-validation, and the fold that is the test split; see `make_fold`. Each
            fold is trained on the rows before its test only, see `cut_in_order`.
        batch_size, eval_batch_size, seed: See `TensorData`.
    """

    def __init__(
        self,
        *,
        dir: str = "data",  # noqa: A002  the config key is data.dir
        path: str = "stocks/GOOG.csv",
        md5: str = "",
        date_column: int | str | None = None,
        price_column: int | str | None = None,
        input_columns: Sequence[int | str] | Literal["all"] = (),
        date_format: DateOrder | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
        header: bool | None = None,
        quantity: Quantity = "returns",
        window: int = 10,
        horizon: int | Sequence[int] = 1,
        synthetic: bool = False,
        val_fraction: Fraction = 0.1,
        test_fraction: Fraction = 0.2,
        folds: int | None = None,
        fold: int = 0,
        batch_size: int = 64,
        eval_batch_size: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        self.horizons = (horizon,) if isinstance(horizon, int) else tuple(horizon)
        self.fractions = (val_fraction, test_fraction)
        _validate_windows(window, self.horizons, self.fractions)
        _validate_columns(input_columns, date_format)
        self.root = Path(dir)
        self.path = path
        self.md5 = md5
        self.window = window
        self.synthetic = synthetic
        self.fold = make_fold(folds, fold)
        self.preprocessing: WindowPreprocessing = WindowPreprocessing(  # `load` sets columns and input scales
            window,
            self.horizons,
            quantity,
            date_column,
            price_column,
            "all" if input_columns == "all" else tuple(input_columns),
            date_format,
            delimiter,
            encoding,
            header,
        )
        self._configured = self.preprocessing
        self._series: TimeSeries | None = None

    @property
    def spec(self) -> DataSpec:
        """A sequence of one feature per input column, one value per horizon; `"all"` input columns need the file."""
        columns = self.preprocessing.input_columns
        if columns == "all":
            columns = (0,) if self.synthetic else range(len(self.series.price_inputs))
        shape = (self.window, len(columns) or 1)
        return DataSpec("stock", "sequence", shape, "regression", len(self.horizons), synthetic=self.synthetic)

    @property
    def series(self) -> TimeSeries:
        """The time series, which is read from the file once."""
        if self._series is None:
            self._series = make_prices(self.spec.shape[1]) if self.synthetic else self._read()
        return self._series

    @property
    def inferred_settings(self) -> dict[str, Any]:
        """Columns and date format that are recognized in the file; none if it is missing."""
        source = None if self.synthetic or not find_path(self.path, self.root).is_file() else self.series.source
        if source is None:
            return {}
        columns = source.columns
        recognized = {
            "date_column": source.table.name_or_index(columns.date),
            "price_column": source.table.name_or_index(columns.price),
            "input_columns": [source.table.name_or_index(column) for column in columns.inputs],
            "date_format": source.date_format.order,
        }
        return {key: value for key, value in recognized.items() if getattr(self._configured, key) in (None, "all")}

    def load(self) -> dict[Stage, Split]:
        """Read the file, compute the scales of the training rows, and build the windows."""
        series = self.series
        if series.source is not None:
            log.info(describe_series(series))
        for warning in filter(None, (describe_disorder(series), describe_jumps(series))):
            log.warning(warning)
        name = str(find_path(self.path, self.root))
        self.last_rows = split_windows(
            name, len(series), self.fractions, self.preprocessing.window_rows, self.horizons, self.fold
        )
        if self.fold:
            self.pooled_examples = self.fold.count * len(self.last_rows["test"])
        num_train = self.last_rows["train"].stop + max(self.horizons)
        self.preprocessing = self.preprocessing.fit(series, num_train)
        inputs = self.preprocessing.scale_inputs(series)
        self._check_precision(series, inputs)
        return {stage: self._build_split(inputs, rows) for stage, rows in self.last_rows.items()}

    def to_prices(self, stage: Stage, outputs: Tensor) -> dict[int, PriceForecast]:
        """Convert network outputs to prices, by horizon.

        Args:
            stage: Split of the windows.
            outputs: Outputs (windows, horizons) for the first windows of the split, in the unit of the targets.
        """
        series = self.series
        rows = torch.tensor(self.last_rows[stage][: len(outputs)])
        today = series.prices[rows]
        forecasts = self.preprocessing.outputs_to_prices(outputs, today)
        days = series.days
        return {
            horizon: PriceForecast(
                [days[row + horizon] for row in rows.tolist()],
                forecasts[:, index],
                today,
                series.prices[rows + horizon],
            )
            for index, horizon in enumerate(self.horizons)
        }

    def _read(self) -> TimeSeries:
        """Return the time series; predictions find the columns by the names that are stored here."""
        path = fetch_path(self.path, self.root, self.md5)
        refuse_unused_settings(path, self.preprocessing.settings.dialect)
        series = read_series(path, self.preprocessing.settings)
        assert series.source is not None
        table = series.source.table
        columns = series.source.columns
        inputs = tuple(table.name_or_index(column) for column in columns.inputs)
        self.preprocessing = replace(
            self.preprocessing,
            price_column=table.name_or_index(columns.price),
            input_columns=inputs,
            date_format=series.source.date_format.order,
        )
        return series

    def _build_split(self, inputs: Tensor, rows: range) -> Split:
        last_rows = torch.arange(rows.start, rows.stop)  # (windows,)
        windows = self.preprocessing.build_windows(inputs, last_rows)
        return Split(windows, self.preprocessing.build_targets(self.series.prices, last_rows))

    def _check_precision(self, series: TimeSeries, inputs: Tensor) -> None:
        """Raise an error if an extreme number, such as 1e30 for a missing one, leaves no digits for the others."""
        source = series.source
        first = int(self.preprocessing.returns)  # the first row has no return
        unusable = find_unusable_number(self.preprocessing.compute_inputs(series)[first:], inputs[first:])
        if source and unusable:
            index, column, reason = unusable
            row = int(source.rows[index + first])
            position = source.columns.inputs[column]
            cell = source.table.cell(row, position)
            raise UserError(f"{source.table.locate(row, position)}: {cell} {reason}; fix or remove the line")


def _validate_columns(input_columns: Sequence[int | str], date_format: DateOrder | None) -> None:
    if isinstance(input_columns, str) and input_columns != "all":
        raise UserError(f"data.input_columns: expected 'all' or a list such as [{input_columns}]")
    DateFormat(date_format or "year_first")  # raises an error if it is unknown


def _validate_windows(window: int, horizons: Sequence[int], fractions: tuple[float, float]) -> None:
    if not horizons or min((window, *horizons)) < 1 or len({*horizons}) != len(horizons):
        raise UserError("data.window and data.horizon: must be at least 1 day, and each horizon different")
    if min(fractions) <= 0 or sum(fractions) >= 1:
        raise UserError("data.val_fraction and data.test_fraction: must be above 0, and below 1 together")
