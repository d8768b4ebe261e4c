"""Fixtures of the tests of data sets."""

from datetime import date, timedelta

import pytest

from trainer.data.stock import Stock

PRICES = [float(price) for price in range(10, 20)]


@pytest.fixture
def make_files(tmp_path):
    """Return a function that creates empty files and returns their directory."""

    def make(*files):
        for file in files:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
        return tmp_path

    return make


def write_prices(file, prices, days=None, header=",Open,Close"):
    """Write a file like GOOG.csv: an unnamed first column of days, and other columns around the price."""
    days = days or [date(2020, 1, 1) + timedelta(number) for number in range(len(prices))]
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join([header, *(f"{day},1,{price}" for day, price in zip(days, prices, strict=True)), ""]))


@pytest.fixture
def stock(tmp_path):
    """Return a function that loads a file of prices: by default 6 days for training, 2 for validation, 2 for test."""

    def load(prices=PRICES, days=None, header=",Open,Close", **settings):
        write_prices(tmp_path / "stocks/GOOG.csv", prices, days, header)
        data = Stock(dir=str(tmp_path), **{"window": 2, "val_fraction": 0.2, "test_fraction": 0.2} | settings)
        data.setup("fit")
        return data

    return load
