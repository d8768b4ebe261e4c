"""Stock: windows of daily prices from a CSV file, cut in time, so that nothing of the future is in training."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec, Share
from trainer.data.base import TensorData
from trainer.data.io.csv_file import CsvFile, find_csv, read_csv
from trainer.data.io.price_csv import Prices, prices_of
from trainer.data.loading.split import Split, Stage
from trainer.data.preprocessing.float_range import mean_and_std, unusable_number
from trainer.data.preprocessing.price_windows import Quantity, Windows
from trainer.data.synthetic import prices


class PriceForecast(NamedTuple):
    """A forecast beside what was known and what came, one entry a window; prices in the file's own currency."""

    days: list[str]  # that the forecast is for, like 2004-08-19
    forecast: Tensor
    today: Tensor  # the last price that was known: the naive forecast
    actual: Tensor


class Stock(TensorData):
    """The last `look_back` days of a price, and its value `horizon` days later.

    The days are cut in order: training, validation, test. A window belongs to the part in which the day that it
    is to forecast lies; what it looks back on may lie in the part before. Inputs and targets are scaled to mean 0
    and deviation 1 over the training days; `to_prices` takes that back.

    Args:
        dir: Root of the data sets.
        path: The CSV file, with a header, plain or `.gz`: below `dir`, absolute, or an http(s) URL.
        md5: Checksum of the file, or `CHECKSUM FILE` as md5sum prints it: checked for this file alone. A URL needs it.
        date_column: Name, or index from 0, of the column of the days.
        price_column: Name or index of the column of the prices.
        quantity: What the network reads and gives: the `"prices"`, or log-`"returns"`: day to day as input, from
            the last day to `horizon` days later as target.
        look_back: Prices or returns that a window has.
        horizon: Days of trading from the last day of a window to the one that is asked.
        synthetic: Whether made-up prices stand in for the file, which is not read then.
        val_share: Share of all days kept for validation.
        test_share: Share of all days, the last ones, kept for the test.
        batch_size, eval_batch_size, seed: See `TensorData`.
    """

    standardize_target = False  # `load` scales inputs and targets; `to_prices` takes that back

    def __init__(
        self,
        *,
        dir: str = "data",  # noqa: A002  the word users type: data.dir
        path: str = "stocks/GOOG.csv",
        md5: str = "",
        date_column: int | str = 0,
        price_column: int | str = "Close",
        quantity: Quantity = "returns",
        look_back: int = 10,
        horizon: int = 1,
        synthetic: bool = False,
        val_share: Share = 0.1,
        test_share: Share = 0.2,
        batch_size: int = 64,
        eval_batch_size: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed)
        if look_back < 1 or horizon < 1:
            raise UserError("data.look_back and data.horizon: must be at least 1 day")
        if min(val_share, test_share) <= 0 or val_share + test_share >= 1:
            raise UserError("data.val_share and data.test_share: must be above 0, and below 1 together")
        self.root, self.path, self.md5 = Path(dir), path, md5
        self.look_back, self.horizon, self.synthetic = look_back, horizon, synthetic
        # load learns its scales
        self.preprocessing: Windows = Windows(look_back, horizon, quantity, date_column, price_column)
        self.val_share, self.test_share = val_share, test_share

    @property
    def spec(self) -> DataSpec:
        """A sequence of one feature, one value."""
        return DataSpec("stock", "sequence", (self.look_back, 1), "values", output_size=1, synthetic=self.synthetic)

    def load(self) -> dict[Stage, Split]:
        """Read the file, learn the scales on the training days, and cut windows."""
        file = None
        if not self.synthetic:
            file = read_csv(find_csv(self.path, self.root, self.md5), header=True, delimiter=",")
        self.table = prices() if file is None else self._read(file)
        self.asked = self._days_asked(self.table)
        trained = self.asked["train"].stop
        scale = mean, deviation = self._scale(self.horizon, trained)
        self.preprocessing = replace(self.preprocessing, input_scale=self._scale(1, trained), target_scale=scale)
        if file is not None:
            self._check_precision(file)
        targets = (self.preprocessing.changes(self.table.prices, self.horizon) - mean) / deviation

        def windows(days: range) -> Split:
            last = torch.arange(days.start, days.stop) - self.horizon  # of each window
            inputs = self.preprocessing.windows(self.table.prices, last)
            return Split(inputs, targets[days.start : days.stop, None].float())

        return {stage: windows(days) for stage, days in self.asked.items()}

    def to_prices(self, stage: Stage, outputs: Tensor) -> PriceForecast:
        """Say in prices what a network says of the first windows of a split, in their order.

        Args:
            stage: Of the split.
            outputs: (windows, 1), scaled as the targets are.
        """
        days = self.asked[stage][: len(outputs)]
        actual = self.table.prices[days.start : days.stop]
        today = self.table.prices[days.start - self.horizon : days.stop - self.horizon]
        forecast = self.preprocessing.in_prices(outputs, today)
        return PriceForecast([str(self.table.days[day]) for day in days], forecast, today, actual)

    def _read(self, file: CsvFile) -> Prices:
        """Return days and prices of a file; predictions find its column of prices by the same name."""
        made = self.preprocessing
        column = file.index("data.price_column", made.price_column)
        self.preprocessing = replace(made, price_column=file.name_or_index(column))
        return prices_of(file, made.date_column, made.price_column, positive=made.returns)

    def _check_precision(self, file: CsvFile) -> None:
        """Raise an error if a price leaves no digits for the others: one that is missing may be written as 1e30."""
        first = int(self.preprocessing.returns)  # the first day has no return
        values = self.preprocessing.changes(self.table.prices, 1)[first:, None]
        mean, std = self.preprocessing.input_scale
        if lost := unusable_number(values, ((values - mean) / std).float()):
            row, _, fault = lost
            column = file.index("data.price_column", self.preprocessing.price_column)
            where = file.where(row + first, column)
            raise UserError(f"{where}: {file.rows[row + first][column]} {fault}; mend or remove the line")

    def _days_asked(self, table: Prices) -> dict[Stage, range]:
        """The rows that each split's windows are to forecast."""
        rows = len(table.days)
        first_test = rows - round(self.test_share * rows)
        first_val = first_test - round(self.val_share * rows)
        first = self.look_back - 1 + self.horizon + self.preprocessing.returns  # a return needs the day before
        if first >= first_val:
            raise UserError(
                f"{self.root / self.path}: of its {rows} days {first_val} are to train on, and data.look_back="
                f"{self.look_back} with data.horizon={self.horizon} needs {first + 1}; take a longer file, or "
                "a shorter look_back"
            )
        return {"train": range(first, first_val), "val": range(first_val, first_test), "test": range(first_test, rows)}

    def _scale(self, step: int, trained: int) -> tuple[float, float]:
        """Mean and deviation of the quantity, taken over `step` days, in the first `trained` days."""
        values = self.preprocessing.changes(self.table.prices, step)[:trained]
        mean, std = mean_and_std(values[values.isfinite(), None])
        return mean.item(), std.item()
