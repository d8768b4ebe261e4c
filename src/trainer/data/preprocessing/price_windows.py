"""Windows of daily prices: the last days of a price as a network takes them, and what it says, as a price again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.io.csv_file import csv_parts
from trainer.data.io.price_csv import Prices, prices_of
from trainer.data.preprocessing.base import Examples, Preprocessing, files_in

Quantity = Literal["prices", "returns"]

ENDINGS = (".csv", ".csv.gz")


@dataclass(frozen=True)
class Windows(Preprocessing):
    """What is stored are windows (windows, look_back, 1), ready for the network.

    Args:
        look_back: Prices or returns that a window has.
        horizon: Days of trading from the last day of a window to the one that is asked.
        quantity: What the network reads and gives: `"prices"`, or log-`"returns"`: day to day as input, from the last
            day to `horizon` days later as target.
        date_column: Name, or index from 0.
        price_column: Name or index.
        input_scale: Mean and deviation of the quantity over the training days, from day to day.
        target_scale: ... and over `horizon` days.
    """

    look_back: int
    horizon: int
    quantity: Quantity
    date_column: int | str
    price_column: int | str
    input_scale: tuple[float, float] = (0.0, 1.0)
    target_scale: tuple[float, float] = (0.0, 1.0)

    def prepare(self, inputs: Tensor) -> Tensor:
        """They are ready."""
        return inputs

    def read(self, files: Iterable[Path], at_once: int) -> Iterator[Examples]:
        """A window for each day that has enough days before it; a forecast is for `horizon` days of trading later."""
        for path in files_in(files, ENDINGS):
            before = Prices([], torch.empty(0, dtype=torch.float64))
            found = False
            for part in csv_parts(path, header=True, delimiter=",", rows=at_once):
                latest = before.days[-1] if before.days else None
                new = prices_of(part, self.date_column, self.price_column, positive=self.returns, after=latest)
                known = Prices(before.days + new.days, torch.cat([before.prices, new.prices]))
                if len(known.days) >= self.needed:
                    found = True
                    yield self._examples(path, known, part.lines)
                gone = max(0, len(known.days) - self.needed + 1)  # a window may take several parts to fill
                before = Prices(known.days[gone:], known.prices[gone:])
            if not found:
                raise UserError(f"{path}: has {len(before.days)} days, and a forecast needs {self.needed}")

    @property
    def returns(self) -> bool:
        """Whether the quantity is returns."""
        return self.quantity == "returns"

    @property
    def needed(self) -> int:
        """Days that a window is made of; a return needs the day before."""
        return self.look_back + self.returns

    def changes(self, prices: Tensor, step: int) -> Tensor:
        """The quantity of each day, unscaled: (days,); the first days, which have none so far back, get NaN.

        Args:
            prices: (days,).
            step: Days over which a return is taken.
        """
        if not self.returns:
            return prices
        logs = prices.log()
        return torch.cat([torch.full((min(step, len(logs)),), torch.nan), logs[step:] - logs[:-step]])

    def windows(self, prices: Tensor, last: Tensor) -> Tensor:
        """Windows (windows, look_back, 1), scaled, that end with the rows `last` of prices (days,)."""
        mean, deviation = self.input_scale
        scaled = ((self.changes(prices, 1) - mean) / deviation).float()
        if scaled.isinf().any():
            price = prices[scaled.isinf()][0].item()
            raise UserError(f"data.price_column: {price} is too far from the training prices for a 32-bit float")
        rows = last[:, None] + torch.arange(1 - self.look_back, 1)  # (windows, look_back)
        return scaled[rows][:, :, None]

    def in_prices(self, outputs: Tensor, today: Tensor) -> Tensor:
        """What a network says (windows, 1) of windows that end with the price of `today` (windows,), as prices."""
        mean, deviation = self.target_scale
        values = outputs.detach().double().cpu().flatten() * deviation + mean
        return today * values.exp() if self.returns else values

    def in_units(self, outputs: Tensor, examples: Examples) -> Tensor:
        """Prices (windows, 1)."""
        today = torch.tensor(examples.facts["last_price"], dtype=torch.float64)
        return self.in_prices(outputs, today)[:, None]

    def _examples(self, path: Path, known: Prices, lines: list[int]) -> Examples:
        """All whole windows of some days; `lines` are those of the last days."""
        last = torch.arange(self.needed - 1, len(known.days))
        days: list[date] = known.days[self.needed - 1 :]
        facts = {"last_day": [str(day) for day in days], "last_price": known.prices[last].tolist()}
        return Examples([str(path)] * len(days), [*lines[-len(days) :]], self.windows(known.prices, last), facts)
