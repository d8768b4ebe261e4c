"""Conversion of daily prices to windows, and of network outputs to prices."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.io.dialect_detection import DialectSettings, detect_dialect
from trainer.data.io.price_csv import Prices, parse_prices
from trainer.data.io.table_file import iter_tables
from trainer.data.preprocessing.base import Examples, Preprocessing, iter_files

Quantity = Literal["prices", "returns"]

CSV_EXTENSIONS = (".csv", ".csv.gz")


@dataclass(frozen=True)
class WindowPreprocessing(Preprocessing):
    """Stored inputs are scaled windows (windows, window, 1).

    Args:
        window: Number of prices or returns in a window.
        horizon: Trading days from the last day of a window to the target day.
        quantity: Input and target of the network: `"prices"`, or log-`"returns"`, which are daily in the input and
            over `horizon` days in the target.
        date_column: Name, or index from 0.
        price_column: Name, or index from 0.
        input_scale: Mean and standard deviation of the daily quantity over the training days.
        target_scale: Mean and standard deviation of the quantity over `horizon` days.
    """

    window: int
    horizon: int
    quantity: Quantity
    date_column: int | str
    price_column: int | str
    input_scale: tuple[float, float] = (0.0, 1.0)
    target_scale: tuple[float, float] = (0.0, 1.0)

    def prepare(self, inputs: Tensor) -> Tensor:
        """Return the inputs unchanged."""
        return inputs

    def read(self, files: Iterable[Path], batch_size: int) -> Iterator[Examples]:
        """Yield a window for each day with enough preceding days."""
        for path in iter_files(files, CSV_EXTENSIONS):
            history = Prices([], torch.empty(0, dtype=torch.float64))
            is_too_short = True
            for chunk in iter_tables(path, detect_dialect(path, DialectSettings(header=True)), rows=batch_size):
                latest = history.days[-1] if history.days else None
                new = parse_prices(chunk, self.date_column, self.price_column, positive=self.returns, after=latest)
                prices = Prices(history.days + new.days, torch.cat([history.prices, new.prices]))
                if len(prices.days) >= self.window_days:
                    is_too_short = False
                    yield self._build_examples(path, prices, list(chunk.lines or ()))
                start = max(0, len(prices.days) - self.window_days + 1)  # a window may span several chunks
                history = Prices(prices.days[start:], prices.prices[start:])
            if is_too_short:
                raise UserError(f"{path}: has {len(history.days)} days, but a forecast needs {self.window_days}")

    @property
    def returns(self) -> bool:
        """True if the quantity is returns."""
        return self.quantity == "returns"

    @property
    def window_days(self) -> int:
        """Number of days in a window; the first return needs the preceding day."""
        return self.window + self.returns

    def compute_quantity(self, prices: Tensor, step: int) -> Tensor:
        """Return the unscaled quantity of each day (days,); returns of the first `step` days are NaN.

        Args:
            prices: Prices (days,).
            step: Number of days of a return.
        """
        if not self.returns:
            return prices
        logs = prices.log()
        return torch.cat([torch.full((min(step, len(logs)),), torch.nan), logs[step:] - logs[:-step]])

    def build_windows(self, prices: Tensor, last_rows: Tensor) -> Tensor:
        """Return the scaled windows (windows, window, 1) of prices (days,) that end at `last_rows`."""
        mean, std = self.input_scale
        scaled = ((self.compute_quantity(prices, 1) - mean) / std).float()
        if scaled.isinf().any():
            price = prices[scaled.isinf()][0].item()
            raise UserError(f"data.price_column: {price} is too far from the training prices for a 32-bit float")
        rows = last_rows[:, None] + torch.arange(1 - self.window, 1)  # (windows, window)
        return scaled[rows][:, :, None]

    def outputs_to_prices(self, outputs: Tensor, today: Tensor) -> Tensor:
        """Convert outputs (windows, 1) for windows whose last prices are `today` (windows,) to prices (windows,)."""
        mean, std = self.target_scale
        values = outputs.detach().double().cpu().flatten() * std + mean
        return today * values.exp() if self.returns else values

    def to_original_units(self, outputs: Tensor, examples: Examples) -> Tensor:
        """Return prices (windows, 1)."""
        today = torch.tensor(examples.facts["last_price"], dtype=torch.float64)
        return self.outputs_to_prices(outputs, today)[:, None]

    def _build_examples(self, path: Path, prices: Prices, lines: list[int]) -> Examples:
        """Return all complete windows; `lines` are the lines of the last days."""
        last_rows = torch.arange(self.window_days - 1, len(prices.days))
        days = prices.days[self.window_days - 1 :]
        facts = {"last_day": [str(day) for day in days], "last_price": prices.prices[last_rows].tolist()}
        inputs = self.build_windows(prices.prices, last_rows)
        return Examples([str(path)] * len(days), [*lines[-len(days) :]], inputs, facts)
