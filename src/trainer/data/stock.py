"""Forecasting data set with windows of daily prices from a CSV file, split in time."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec, Fraction
from trainer.data.base import TensorData
from trainer.data.io.data_path import fetch_path
from trainer.data.io.dialect_detection import DialectSettings, detect_dialect
from trainer.data.io.price_csv import Prices, parse_prices
from trainer.data.io.table_file import TextTable, read_table
from trainer.data.loading.split import Split, Stage
from trainer.data.preprocessing.float_range import find_unusable_number, mean_and_std
from trainer.data.preprocessing.price_windows import Quantity, WindowPreprocessing
from trainer.data.synthetic import make_prices


class PriceForecast(NamedTuple):
    """Forecasts and actual prices, one entry per window, in the currency of the file."""

    days: list[str]  # days of the forecasts, e.g. 2004-08-19
    forecast: Tensor
    today: Tensor  # last price of the window: the naive forecast
    actual: Tensor


class Stock(TensorData):
    """The last `window` days of a price, and its value `horizon` days later.

    The days are split in order: training, validation, test. A window belongs to the split of its target day; its
    input may start in the previous split. Inputs and targets are scaled to mean 0 and standard deviation 1 over the
    training days; `to_prices` inverts the scaling.

    Args:
        dir: Root of the data sets.
        path: CSV file with a header, plain or `.gz`: relative to `dir`, absolute, or an http(s) URL.
        md5: Checksum of the file, or `CHECKSUM FILE` as md5sum prints it, which applies to this file only. Required
            for a URL.
        date_column: Name or index (from 0) of the date column.
        price_column: Name or index of the price column.
        quantity: Input and target of the network: `"prices"`, or log-`"returns"`, which are daily in the input and
            over `horizon` days in the target.
        window: Number of prices or returns in a window.
        horizon: Trading days from the last day of a window to the target day.
        synthetic: Whether synthetic prices replace the file, which is not read then.
        val_fraction: Fraction of all days for validation.
        test_fraction: Fraction of all days, the last ones, for test.
        batch_size, eval_batch_size, seed: See `TensorData`.
    """

    standardize_target = False  # `load` scales inputs and targets

    def __init__(
        self,
        *,
        dir: str = "data",  # noqa: A002  the config key is data.dir
        path: str = "stocks/GOOG.csv",
        md5: str = "",
        date_column: int | str = 0,
        price_column: int | str = "Close",
        quantity: Quantity = "returns",
        window: int = 10,
        horizon: int = 1,
        synthetic: bool = False,
        val_fraction: Fraction = 0.1,
        test_fraction: Fraction = 0.2,
        batch_size: int = 64,
        eval_batch_size: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        if window < 1 or horizon < 1:
            raise UserError("data.window and data.horizon: must be at least 1 day")
        if min(val_fraction, test_fraction) <= 0 or val_fraction + test_fraction >= 1:
            raise UserError("data.val_fraction and data.test_fraction: must be above 0, and below 1 together")
        self.root = Path(dir)
        self.path = path
        self.md5 = md5
        self.window = window
        self.horizon = horizon
        self.synthetic = synthetic
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        # `load` sets the scales
        self.preprocessing: WindowPreprocessing = WindowPreprocessing(
            window, horizon, quantity, date_column, price_column
        )

    @property
    def spec(self) -> DataSpec:
        """A sequence of one feature, one value."""
        return DataSpec("stock", "sequence", (self.window, 1), "regression", output_size=1, synthetic=self.synthetic)

    def load(self) -> dict[Stage, Split]:
        """Read the file, compute the scales of the training days, and build the windows."""
        file = None
        if not self.synthetic:
            path = fetch_path(self.path, self.root, self.md5)
            file = read_table(path, detect_dialect(path, DialectSettings(header=True)))
        self.table = make_prices() if file is None else self._parse(file)
        self.target_rows = self._split_rows(len(self.table.days))
        num_train = self.target_rows["train"].stop
        mean, std = self._compute_scale(self.horizon, num_train)
        self.preprocessing = replace(
            self.preprocessing, input_scale=self._compute_scale(1, num_train), target_scale=(mean, std)
        )
        if file is not None:
            self._check_precision(file)
        targets = (self.preprocessing.compute_quantity(self.table.prices, self.horizon) - mean) / std

        def build_split(rows: range) -> Split:
            last_rows = torch.arange(rows.start, rows.stop) - self.horizon  # (windows,)
            inputs = self.preprocessing.build_windows(self.table.prices, last_rows)
            return Split(inputs, targets[rows.start : rows.stop, None].float())

        return {stage: build_split(rows) for stage, rows in self.target_rows.items()}

    def to_prices(self, stage: Stage, outputs: Tensor) -> PriceForecast:
        """Convert network outputs to prices.

        Args:
            stage: Split of the windows.
            outputs: Outputs (windows, 1) for the first windows of the split, scaled like the targets.
        """
        rows = self.target_rows[stage][: len(outputs)]
        actual = self.table.prices[rows.start : rows.stop]
        today = self.table.prices[rows.start - self.horizon : rows.stop - self.horizon]
        forecast = self.preprocessing.outputs_to_prices(outputs, today)
        return PriceForecast([str(self.table.days[row]) for row in rows], forecast, today, actual)

    def _parse(self, file: TextTable) -> Prices:
        """Return days and prices; predictions find the price column by the name that is stored here."""
        settings = self.preprocessing
        column = file.index("data.price_column", settings.price_column)
        self.preprocessing = replace(settings, price_column=file.name_or_index(column))
        return parse_prices(file, settings.date_column, settings.price_column, positive=settings.returns)

    def _check_precision(self, file: TextTable) -> None:
        """Raise an error if an extreme price, such as 1e30 for a missing one, leaves no digits for the others."""
        first = int(self.preprocessing.returns)  # the first day has no return
        values = self.preprocessing.compute_quantity(self.table.prices, 1)[first:, None]
        mean, std = self.preprocessing.input_scale
        if unusable := find_unusable_number(values, ((values - mean) / std).float()):
            index, _, reason = unusable
            row = index + first
            column = file.index("data.price_column", self.preprocessing.price_column)
            raise UserError(f"{file.locate(row, column)}: {file.cell(row, column)} {reason}; fix or remove the line")

    def _split_rows(self, rows: int) -> dict[Stage, range]:
        """Return the target rows of each split."""
        first_test = rows - round(self.test_fraction * rows)
        first_val = first_test - round(self.val_fraction * rows)
        first = self.preprocessing.window_days - 1 + self.horizon
        if first >= first_val:
            raise UserError(
                f"{self.root / self.path}: {first_val} of its {rows} days are for training, but data.window="
                f"{self.window} with data.horizon={self.horizon} needs {first + 1}; use a longer file or a shorter "
                "window"
            )
        return {"train": range(first, first_val), "val": range(first_val, first_test), "test": range(first_test, rows)}

    def _compute_scale(self, step: int, num_train: int) -> tuple[float, float]:
        """Return mean and standard deviation of the quantity over `step` days in the training days."""
        values = self.preprocessing.compute_quantity(self.table.prices, step)[:num_train]
        mean, std = mean_and_std(values[values.isfinite(), None])
        return mean.item(), std.item()
