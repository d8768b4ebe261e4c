"""Conversion of time series to windows, and of network outputs to prices."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.io.series.series_columns import ColumnKey, InputColumns
from trainer.data.io.series.time_series import SeriesSettings, TimeSeries, read_series
from trainer.data.io.tables.date_text import DateOrder
from trainer.data.io.tables.dialect_detection import DialectSettings
from trainer.data.io.tables.memory_table import to_arrow
from trainer.data.io.tables.table_file import TABLE_SUFFIXES
from trainer.data.io.tables.table_rows import MEMORY_PATH
from trainer.data.preprocessing.base import Examples, Preprocessing, iter_files
from trainer.data.preprocessing.float_range import mean_and_std

Quantity = Literal["prices", "returns"]
Scale = tuple[float, float]  # mean and standard deviation


@dataclass(frozen=True)
class WindowPreprocessing(Preprocessing):
    """Stored inputs are scaled windows (windows, window, input columns).

    Args:
        window: Number of prices or returns in a window.
        horizons: Rows from the last row of a window to each target.
        quantity: Input and target of the network: `"prices"`, or log-`"returns"`, which are of one row in the input
            and over the horizon in the target.
        date_column: Name, or index from 0; None is recognized in each file.
        price_column: Name, or index from 0; None is recognized in each file.
        input_columns: Names or indices, `"all"`, or none for the price alone.
        date_format: Order of year, month and day if the cells of a file fit it; else it is recognized.
        delimiter: Delimiter of the files; None is recognized in each file.
        encoding: Encoding of the files; None is recognized in each file.
        header: Whether the first line contains the column names; None is recognized in each file.
        input_scales: Scale of each input column over the training rows.
    """

    window: int
    horizons: tuple[int, ...]
    quantity: Quantity
    date_column: ColumnKey | None = None
    price_column: ColumnKey | None = None
    input_columns: InputColumns = ()
    date_format: DateOrder | None = None
    delimiter: str | None = None
    encoding: str | None = None
    header: bool | None = None
    input_scales: tuple[Scale, ...] = ()

    def prepare(self, inputs: Tensor) -> Tensor:
        """Return the inputs unchanged."""
        return inputs

    def read(self, files: Iterable[Path], batch_size: int) -> Iterator[Examples]:
        """Yield a window for each row with enough preceding rows, the oldest first."""
        for path in iter_files(files, TABLE_SUFFIXES):
            series = read_series(path, replace(self.settings, is_prediction=True))
            if len(series) < self.window_rows:
                raise UserError(f"{path}: has {len(series)} rows, but a forecast needs {self.window_rows}")
            inputs = self.scale_inputs(series)
            _check_range(series, inputs)
            days = series.days
            for rows in torch.split(torch.arange(self.window_rows - 1, len(series)), batch_size):
                facts = {"last_day": [days[row] for row in rows.tolist()], "last_price": series.prices[rows].tolist()}
                lines = [series.find_line(row) for row in rows.tolist()]
                yield Examples([str(path)] * len(rows), [*lines], self.build_windows(inputs, rows), facts)

    def read_values(self, values: Any, batch_size: int) -> Iterator[Examples]:
        """Yield a window for each row of a data frame, or of rows as dictionaries, with enough preceding rows."""
        from pyarrow import feather

        with TemporaryDirectory() as directory:
            file = Path(directory) / "prices.feather"
            feather.write_feather(to_arrow(values), str(file))
            try:
                for examples in self.read([file], batch_size):
                    yield examples._replace(sources=[""] * len(examples.sources))
            except UserError as error:
                raise UserError(str(error).replace(str(file), MEMORY_PATH)) from None

    @property
    def settings(self) -> SeriesSettings:
        """Settings of the user about the files."""
        return SeriesSettings(
            self.date_column,
            self.price_column,
            self.input_columns,
            self.date_format,
            DialectSettings(self.delimiter, self.encoding, self.header),
            is_positive=self.returns,
        )

    @property
    def returns(self) -> bool:
        """True if the quantity is returns."""
        return self.quantity == "returns"

    @property
    def window_rows(self) -> int:
        """Number of rows in a window; the first return needs the preceding row."""
        return self.window + self.returns

    @property
    def value_names(self) -> tuple[str, ...]:
        """Names of the forecasts if there are several horizons."""
        return tuple(f"h{horizon}" for horizon in self.horizons) if len(self.horizons) > 1 else ()

    def compute_quantity(self, prices: Tensor, step: int) -> Tensor:
        """Return the unscaled quantity of each row (rows,); returns of the first `step` rows are NaN.

        Args:
            prices: Prices (rows,).
            step: Number of rows of a return.
        """
        return _subtract_previous(prices.log(), step) if self.returns else prices

    def compute_inputs(self, series: TimeSeries) -> Tensor:
        """Return the unscaled inputs (rows, input columns).

        With returns, an input column `x` other than the price is replaced by the changes of `sign(x) log(1 + |x|)`,
        which are close to returns for large numbers, and defined for 0 and below.
        """
        columns = []
        for values, is_price in zip(series.inputs.T, series.price_inputs, strict=True):
            if is_price or not self.returns:
                columns.append(self.compute_quantity(values, 1))
            else:
                columns.append(_subtract_previous(values.sign() * values.abs().log1p(), 1))
        return torch.stack(columns, 1)

    def fit(self, series: TimeSeries, rows: int) -> "WindowPreprocessing":
        """Return this preprocessing with the scales of the first rows of a series, those of training."""
        inputs = self.compute_inputs(series)[self.returns : rows]
        return replace(self, input_scales=tuple(map(_compute_scale, inputs.T)))

    def scale_inputs(self, series: TimeSeries) -> Tensor:
        """Return the scaled inputs (rows, input columns); with returns, the first row is NaN."""
        mean, std = torch.tensor(self.input_scales, dtype=torch.float64).T
        return ((self.compute_inputs(series) - mean) / std).float()

    def build_targets(self, prices: Tensor, last_rows: Tensor) -> Tensor:
        """Return the quantity (windows, horizons) that follows the windows which end at `last_rows`.

        Args:
            prices: Prices (rows,).
            last_rows: Last row of each window (windows,).
        """
        columns = [self.compute_quantity(prices, horizon)[last_rows + horizon] for horizon in self.horizons]
        return torch.stack(columns, 1)

    def build_windows(self, inputs: Tensor, last_rows: Tensor) -> Tensor:
        """Return the windows (windows, window, input columns) of scaled inputs that end at `last_rows`."""
        return inputs[last_rows[:, None] + torch.arange(1 - self.window, 1)]

    def outputs_to_prices(self, outputs: Tensor, today: Tensor) -> Tensor:
        """Convert outputs (windows, horizons) for windows whose last prices are `today` (windows,) to prices."""
        values = outputs.detach().double().cpu().reshape(len(today), -1)
        return today[:, None] * values.exp() if self.returns else values

    def to_original_units(self, outputs: Tensor, examples: Examples) -> Tensor:
        """Return prices (windows, horizons)."""
        today = torch.tensor(examples.facts["last_price"], dtype=torch.float64)
        return self.outputs_to_prices(outputs, today)


def _compute_scale(values: Tensor) -> Scale:
    """Return mean and standard deviation of values (rows,)."""
    mean, std = mean_and_std(values[:, None])
    return mean.item(), std.item()


def _check_range(series: TimeSeries, inputs: Tensor) -> None:
    """Raise an error if a number is too far from those of training."""
    for row, column in inputs.isinf().nonzero().tolist():
        key = "price_column" if series.price_inputs[column] else "input_columns"
        value = series.inputs[row, column].item()
        raise UserError(f"data.{key}: {value} is too far from the training prices for a 32-bit float")


def _subtract_previous(values: Tensor, step: int) -> Tensor:
    """Return the changes of values (rows,) over `step` rows; the first `step` ones are NaN."""
    missing = values.new_full((min(step, len(values)),), torch.nan)
    return torch.cat([missing, values[step:] - values[:-step]])
