"""Windows, splits and scales of daily prices, errors, and no use of future prices in training."""

import gzip
import hashlib
import re
from math import exp, log

import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.stock import Stock

PRICES = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0]


def unscaled(values, scale):
    return rounded(values.double() * scale[1] + scale[0])


def rounded(values):
    return [round(number, 4) for number in values.flatten().tolist()]


def test_the_spec_needs_no_file(tmp_path):
    spec = Stock(dir=str(tmp_path / "nowhere"), window=7).spec
    assert (spec.kind, spec.shape, spec.target, spec.output_size) == ("sequence", (7, 1), "regression", 1)


def test_a_window_belongs_to_the_split_of_its_target(stock):
    data = stock(quantity="prices")
    windows = {
        stage: [
            (
                *unscaled(window, data.preprocessing.input_scales[0]),
                *rounded(target),
            )
            for window, target in zip(*split, strict=True)
        ]
        for stage, split in data.splits.items()
    }
    assert windows == {
        "train": [(10, 11, 12), (11, 12, 13), (12, 13, 14), (13, 14, 15)],
        "val": [(14, 15, 16), (15, 16, 17)],  # they look back on days of training
        "test": [(16, 17, 18), (17, 18, 19)],
    }


def test_the_target_is_horizon_days_ahead(stock):
    data = stock(quantity="prices", horizon=3)
    firsts = {
        stage: unscaled(split.inputs[0], data.preprocessing.input_scales[0]) for stage, split in data.splits.items()
    }
    targets = {stage: rounded(split.targets) for stage, split in data.splits.items()}
    assert firsts == {"train": [10, 11], "val": [12, 13], "test": [14, 15]}
    assert targets == {"train": [14, 15], "val": [16, 17], "test": [18, 19]}


@pytest.mark.parametrize("horizon", [1, 2])
def test_windows_contain_daily_returns_and_the_target_is_the_return_over_the_horizon(stock, horizon):
    prices = [10.0, 20.0, 10.0, 40.0, 30.0, 60.0, 50.0, 70.0, 80.0, 40.0]
    data = stock(prices, quantity="returns", horizon=horizon)
    train = data.splits["train"]
    assert unscaled(train.inputs[0], data.preprocessing.input_scales[0]) == [round(log(2), 4), round(log(0.5), 4)]
    # the window ends on the third day
    assert rounded(train.targets[0]) == [round(log(prices[2 + horizon] / 10), 4)]
    assert [len(split.targets) for split in data.splits.values()] == [4 - horizon, 2, 2]
    assert rounded(data.splits["test"].targets[-1]) == [round(log(40 / prices[-1 - horizon]), 4)]


def test_scales_are_the_mean_and_standard_deviation_of_the_training_days(stock):
    data = stock(quantity="prices")
    assert data.preprocessing.input_scales == (pytest.approx((12.5, 1.707825)),)  # of 10 to 15
    scale = data.target_scale.state()
    assert (scale["mean"], scale["std"]) == ([13.5], pytest.approx([1.25**0.5]))  # of 12 to 15
    returns = stock([1.0, 2.0, 8.0, 16.0, 64.0, 128.0, 1.0, 9.0, 1.0, 5.0], quantity="returns", horizon=2)
    # over a day: 1 2 1 2 1 times log 2; over two: 3 3 3 3 times log 2, which has no deviation
    assert returns.preprocessing.input_scales[0] == pytest.approx((1.4 * log(2), 0.24**0.5 * log(2)))
    assert returns.target_scale.mean.tolist() == pytest.approx([3 * log(2)])


def test_a_constant_price_is_scaled_by_one(stock):
    data = stock([5.0] * 10, quantity="prices")
    assert data.preprocessing.input_scales == ((5.0, 1.0),)
    assert not data.splits["train"].inputs.any()


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("quantity", ["prices", "returns"])
def test_training_does_not_depend_on_later_prices(stock, quantity, horizon):
    """Change any day after the training days: inputs, targets and scales of training stay as they are."""
    prices = [100.0 + 7 * (day % 5) + day for day in range(40)]
    settings = {"quantity": quantity, "horizon": horizon, "window": 4}
    data = stock(prices, **settings)
    train, scales = data.splits["train"], (data.preprocessing.input_scales, data.target_scale.state())
    for day in range(24, 40):
        changed = stock([*prices[:day], 9999.0, *prices[day + 1 :]], **settings)
        assert torch.equal(changed.splits["train"].inputs, train.inputs)
        assert torch.equal(changed.splits["train"].targets, train.targets)
        assert (changed.preprocessing.input_scales, changed.target_scale.state()) == scales
        assert changed.checksum() != data.checksum()


@pytest.mark.parametrize("quantity", ["prices", "returns"])
def test_inputs_do_not_depend_on_the_target_day(stock, quantity):
    prices = [100.0 + 7 * (day % 5) + day for day in range(20)]
    original, changed_last = (
        stock([*prices[:-1], last], quantity=quantity).splits["test"] for last in (prices[-1], 1.0)
    )
    assert torch.equal(original.inputs, changed_last.inputs)
    assert (original.targets != changed_last.targets).flatten().tolist() == [False, False, False, True]


@pytest.mark.parametrize("horizon", [1, 2])
@pytest.mark.parametrize("quantity", ["prices", "returns"])
def test_targets_are_converted_back_to_prices(stock, quantity, horizon):
    data = stock(quantity=quantity, horizon=horizon)
    for stage, first in (("val", 6), ("test", 8)):
        days, forecast, today, actual = data.to_prices(stage, data.splits[stage].targets)[horizon]
        assert days == [f"2020-01-{first + 1:02}", f"2020-01-{first + 2:02}"]
        assert actual.tolist() == PRICES[first : first + 2]
        assert today.tolist() == PRICES[first - horizon : first + 2 - horizon]
        assert forecast.tolist() == pytest.approx(actual.tolist(), abs=1e-5)


def test_a_return_is_relative_to_the_last_price_of_the_window(stock):
    data = stock(quantity="returns")
    result = data.to_prices("test", torch.tensor([[log(1.1)]]))[1]  # of the first window only
    assert result.forecast.tolist() == pytest.approx([17 * exp(log(1.1))], abs=1e-4)
    assert (result.days, result.actual.tolist()) == (["2020-01-09"], [18.0])


def test_columns_are_found_by_name_or_index(stock, tmp_path):
    by_index = stock(price_column=2)
    assert by_index.checksum() == stock().checksum()  # recognized by their cells and names
    assert by_index.checksum() == stock(date_column="Date", header="Date,Open, Close ").checksum()
    assert by_index.checksum() == stock(price_column="Close").checksum()
    assert by_index.checksum() != stock(price_column="Close", header="Date,Close,Open", quantity="prices").checksum()


def test_a_packed_file_and_a_time_of_day_are_read(stock, tmp_path):
    expected = stock()
    text = (tmp_path / "stocks/GOOG.csv").read_text().replace("2020-01-02", "2020-01-02 00:00:00-05:00")
    (tmp_path / "GOOG.csv.gz").write_bytes(gzip.compress(text.replace("\n", "\r\n\r\n").encode("utf-8-sig")))
    packed = Stock(dir=str(tmp_path), path="GOOG.csv.gz", window=2, val_fraction=0.2, test_fraction=0.2)
    packed.setup("fit")
    assert packed.checksum() == expected.checksum()


def test_a_configured_checksum_is_verified(stock, tmp_path):
    stock()
    md5 = hashlib.md5((tmp_path / "stocks/GOOG.csv").read_bytes()).hexdigest()
    stock(md5=md5)
    with pytest.raises(UserError, match=rf"GOOG\.csv is not the published file: its MD5 is {md5}, expected 0{{32}}"):
        stock(md5="0" * 32)


def test_the_checksum_of_a_named_file_applies_to_this_file_only(stock, tmp_path):
    stock()
    zeros = "0" * 32
    (tmp_path / "mine.csv").write_bytes((tmp_path / "stocks/GOOG.csv").read_bytes())
    for name in ("mine.csv", f"{tmp_path}/mine.csv"):
        stock(path=name, md5=f"{zeros} stocks/GOOG.csv")
    for md5 in (f"{zeros}  stocks/GOOG.csv", f"{zeros} *./stocks/GOOG.csv"):  # as md5sum prints it
        for name in ("stocks/GOOG.csv", f"{tmp_path}/stocks/GOOG.csv"):
            with pytest.raises(UserError) as error:
                stock(path=name, md5=md5)
            assert str(error.value).endswith(
                f"expected {zeros}.\nMove it away and put the published file there.\n"
                "To read the present file anyway: data.md5=''"
            )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "data.window and data.horizon: must be at least 1 day"),
        ({"horizon": 0}, "data.window and data.horizon: must be at least 1 day"),
        ({"horizon": [1, 1]}, "data.window and data.horizon: must be at least 1 day, and each horizon different"),
        ({"horizon": []}, "data.window and data.horizon: must be at least 1 day, and each horizon different"),
        ({"input_columns": "Close"}, "data.input_columns: expected 'all' or a list such as [Close]"),
        ({"date_format": "iso"}, "data.date_format: expected one of year_first, day_first, month_first,"),
        ({"val_fraction": 0.0}, "data.val_fraction and data.test_fraction: must be above 0, and below 1 together"),
        (
            {"val_fraction": 0.5, "test_fraction": 0.5},
            "data.val_fraction and data.test_fraction: must be above 0, and below",
        ),
    ],
)
def test_invalid_settings_are_errors_before_a_file_is_opened(settings, message):
    with pytest.raises(UserError, match=f"^{re.escape(message)}"):
        Stock(**settings)


@pytest.mark.real_data
def test_the_real_file_has_its_days_and_windows(stocks_dir):
    data = Stock(dir=str(stocks_dir), md5="bebefd67a8ec40d9bcfc07d2e3584a70")
    data.setup("fit")
    assert (data.series.days[0], data.series.days[-1]) == ("2004-08-19", "2013-03-01")
    # 2,148 days: 430 for the test, 215 for validation, 1,503 for training, of which the first 11 have no window
    assert [len(split.targets) for split in data.splits.values()] == [1492, 215, 430]
    result = data.to_prices("test", data.splits["test"].targets)[1]
    assert (result.today[-1].item(), result.actual[-1].item()) == (801.20, 806.19)
    assert result.forecast.tolist() == pytest.approx(result.actual.tolist(), abs=0.01)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(
        UserError, match=rf"^data\.path: no file 'stocks/X\.csv' in .*, and no '{tmp_path}/stocks/X\.csv'"
    ):
        Stock(dir=str(tmp_path), path="stocks/X.csv").setup("fit")
