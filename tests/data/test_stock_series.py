"""Several input columns, horizons and recognized settings of time series."""

import logging
from math import log

import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.stock import Stock

PRICES = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0]


def test_the_newest_first_and_dates_in_another_format_are_equal(stock, tmp_path):
    days = [f"{day}/1/2020" for day in range(20, 30)]
    assert stock(PRICES[::-1], days[::-1]).checksum() == stock(PRICES, days).checksum() == stock().checksum()


def test_a_window_belongs_to_a_split_if_the_targets_of_all_horizons_do(stock):
    prices = [float(price) for price in range(10, 30)]
    data = stock(prices, quantity="prices", horizon=[1, 3])  # 12 days for training, 4 for validation, 4 for test
    assert data.spec.output_size == 2
    targets = {stage: split.targets.tolist() for stage, split in data.splits.items()}
    assert targets["train"] == [[12 + day, 14 + day] for day in range(8)]
    assert (targets["val"], targets["test"]) == ([[22, 24], [23, 25]], [[26, 28], [27, 29]])
    forecasts = data.to_prices("test", data.splits["test"].targets)
    assert {horizon: forecast.days for horizon, forecast in forecasts.items()} == {
        1: ["2020-01-17", "2020-01-18"],
        3: ["2020-01-19", "2020-01-20"],
    }
    for horizon, forecast in forecasts.items():
        assert forecast.actual.tolist() == [25 + horizon, 26 + horizon]
        assert forecast.today.tolist() == [25, 26]
        assert forecast.forecast.tolist() == pytest.approx(forecast.actual.tolist(), abs=1e-5)


@pytest.mark.parametrize("quantity", ["prices", "returns"])
def test_input_columns_are_scaled_one_by_one(stock, quantity):
    prices = [float(2 ** (1 + day % 3)) for day in range(10)]
    volumes = [0.0, 9.0, 99.0, 9.0, 0.0, 9.0, 1e6, 1e6, 0.0, 5.0]
    rows = [f"{price},{volume}" for price, volume in zip(prices, volumes, strict=True)]
    data = stock(rows, header="Date,,Close,Volume", quantity=quantity, input_columns=["Volume", "Close"])
    assert data.spec.shape == (2, 2)
    mean, std = torch.tensor(data.preprocessing.input_scales, dtype=torch.float64).T
    first = data.splits["train"].inputs[0].double() * std + mean
    if quantity == "prices":
        assert first.flatten().tolist() == pytest.approx([0, 2, 9, 4], abs=1e-4)
    else:  # changes of log(1 + volume), and returns
        assert first.flatten().tolist() == pytest.approx([log(10), log(2), log(10), log(2)], abs=1e-5)
    assert data.splits["train"].inputs[:, -1].std(0, correction=0).tolist() == pytest.approx([1, 1], rel=0.7)
    alone = stock(rows, header="Date,,Close,Volume", quantity=quantity)
    assert torch.equal(alone.splits["test"].targets, data.splits["test"].targets)


def test_all_input_columns_are_counted_in_the_file(stock):
    data = stock(input_columns="all", quantity="prices")  # Open is constant
    assert data.spec.shape == (2, 2)
    assert data.splits["train"].inputs.shape == (4, 2, 2)
    assert Stock(input_columns="all", synthetic=True).spec.shape == (10, 1)
    assert Stock(input_columns=["A", "B"], synthetic=True).spec.shape == (10, 2)


def test_recognized_settings_are_those_that_the_config_leaves_open(stock, tmp_path):
    assert stock(price_column=2).inferred_settings == {"date_column": 0, "date_format": "year_first"}
    inferred = stock(input_columns="all").inferred_settings
    assert inferred == {
        "date_column": 0,
        "price_column": "Close",
        "input_columns": ["Open", "Close"],
        "date_format": "year_first",
    }
    assert stock(**inferred).checksum() == stock(input_columns="all").checksum()
    assert Stock(dir=str(tmp_path), path="none.csv").inferred_settings == {}
    assert Stock(synthetic=True).inferred_settings == {}


def test_the_log_describes_the_file(stock, caplog):
    with caplog.at_level(logging.INFO):
        stock(PRICES[::-1], [f"2020-02-{day}" for day in range(29, 19, -1)])
    assert [record.getMessage().rpartition("/")[2] for record in caplog.records] == [
        "GOOG.csv: 10 rows from 2020-02-20 to 2020-02-29; dates: column 0 (counted from 0) (year_first); price: column "
        "'Close'; newest first, sorted by date"
    ]


@pytest.mark.parametrize(("rows", "window", "needed"), [(3, 2, 4), (3, 10, 12)])
def test_too_few_days_for_a_window_are_an_error(stock, tmp_path, rows, window, needed):
    with pytest.raises(UserError) as error:
        stock(PRICES[:rows], window=window, val_fraction=0.1)
    assert str(error.value) == (  # 0.2 of 3 days for the test is 1, and 0.1 for validation is 0
        f"{tmp_path}/stocks/GOOG.csv: 2 of its 3 rows are for training, but a window of {window + 1} rows with "
        f"data.horizon=1 needs {needed}; use a longer file or a shorter window"
    )


def test_too_few_days_for_several_horizons_are_an_error(stock):
    with pytest.raises(
        UserError, match=r"2 of its 10 rows are for val, but .* data\.horizon=1,2 needs 3; increase data\.v"
    ):
        stock(horizon=[1, 2])
