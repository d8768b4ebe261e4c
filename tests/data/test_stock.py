"""Stock: windows, cut and scales on tiny files, what is refused, and that the future does not leak."""

import gzip
import hashlib
from datetime import date, timedelta
from math import exp, log

import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.stock import Stock

TEN = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0]


def write(file, prices, days=None, header=",Open,Close"):
    """A file in the form of GOOG.csv: an unnamed first column of days, and others around the price."""
    days = days or [date(2020, 1, 1) + timedelta(number) for number in range(len(prices))]
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join([header, *(f"{day},1,{price}" for day, price in zip(days, prices, strict=True)), ""]))


@pytest.fixture
def stock(tmp_path):
    """A `Stock` on a file of these prices, set up: by default 6 days to train on, 2 for validation, 2 for the test."""

    def ready(prices=TEN, days=None, header=",Open,Close", **settings):
        write(tmp_path / "stocks/GOOG.csv", prices, days, header)
        data = Stock(dir=str(tmp_path), **{"look_back": 2, "val_share": 0.2, "test_share": 0.2} | settings)
        data.setup("fit")
        return data

    return ready


def unscaled(values, scale):
    return [round(number, 4) for number in (values.double() * scale[1] + scale[0]).flatten().tolist()]


def test_the_promise_is_made_without_a_file(tmp_path):
    spec = Stock(dir=str(tmp_path / "nowhere"), look_back=7).spec
    assert (spec.kind, spec.shape, spec.target, spec.output_size) == ("sequence", (7, 1), "values", 1)


def test_windows_of_prices_are_followed_by_the_next_price_in_the_split_in_which_that_lies(stock):
    data = stock(quantity="prices")
    windows = {
        stage: [
            (*unscaled(window, data.preprocessing.input_scale), *unscaled(target, data.preprocessing.target_scale))
            for window, target in zip(*split, strict=True)
        ]
        for stage, split in data.splits.items()
    }
    assert windows == {
        "train": [(10, 11, 12), (11, 12, 13), (12, 13, 14), (13, 14, 15)],
        "val": [(14, 15, 16), (15, 16, 17)],  # they look back on days of training
        "test": [(16, 17, 18), (17, 18, 19)],
    }


def test_the_target_lies_as_many_days_ahead_as_the_horizon(stock):
    data = stock(quantity="prices", horizon=3)
    firsts = {stage: unscaled(split.inputs[0], data.preprocessing.input_scale) for stage, split in data.splits.items()}
    targets = {stage: unscaled(split.targets, data.preprocessing.target_scale) for stage, split in data.splits.items()}
    assert firsts == {"train": [10, 11], "val": [12, 13], "test": [14, 15]}
    assert targets == {"train": [14, 15], "val": [16, 17], "test": [18, 19]}


@pytest.mark.parametrize("horizon", [1, 2])
def test_windows_of_returns_hold_daily_ones_and_ask_for_the_one_to_the_horizon(stock, horizon):
    prices = [10.0, 20.0, 10.0, 40.0, 30.0, 60.0, 50.0, 70.0, 80.0, 40.0]
    data = stock(prices, quantity="returns", horizon=horizon)
    train = data.splits["train"]
    assert unscaled(train.inputs[0], data.preprocessing.input_scale) == [round(log(2), 4), round(log(0.5), 4)]
    # the window ends on the third day
    assert unscaled(train.targets[0], data.preprocessing.target_scale) == [round(log(prices[2 + horizon] / 10), 4)]
    assert [len(split.targets) for split in data.splits.values()] == [4 - horizon, 2, 2]
    assert unscaled(data.splits["test"].targets[-1], data.preprocessing.target_scale) == [
        round(log(40 / prices[-1 - horizon]), 4)
    ]


def test_scales_are_the_mean_and_deviation_of_the_training_days(stock):
    data = stock(quantity="prices")
    made = data.preprocessing
    assert made.input_scale == made.target_scale == pytest.approx((12.5, 1.707825))  # of 10 to 15
    returns = stock([1.0, 2.0, 8.0, 16.0, 64.0, 128.0, 1.0, 9.0, 1.0, 5.0], quantity="returns", horizon=2)
    # over a day: 1 2 1 2 1 times log 2; over two: 3 3 3 3 times log 2, which has no deviation
    assert returns.preprocessing.input_scale == pytest.approx((1.4 * log(2), 0.24**0.5 * log(2)))
    assert returns.preprocessing.target_scale[0] == pytest.approx(3 * log(2))


def test_a_price_that_never_changed_in_training_is_scaled_by_one(stock):
    data = stock([5.0] * 10, quantity="prices")
    assert data.preprocessing.input_scale == (5.0, 1.0)
    assert not data.splits["train"].inputs.any()


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("quantity", ["prices", "returns"])
def test_no_price_of_the_future_reaches_training(stock, quantity, horizon):
    """Change any day after the training days: inputs, targets and scales of training stay as they are."""
    prices = [100.0 + 7 * (day % 5) + day for day in range(40)]
    known = {"quantity": quantity, "horizon": horizon, "look_back": 4}
    data = stock(prices, **known)
    train, scales = data.splits["train"], (data.preprocessing.input_scale, data.preprocessing.target_scale)
    for day in range(24, 40):
        changed = stock([*prices[:day], 9999.0, *prices[day + 1 :]], **known)
        assert torch.equal(changed.splits["train"].inputs, train.inputs)
        assert torch.equal(changed.splits["train"].targets, train.targets)
        assert (changed.preprocessing.input_scale, changed.preprocessing.target_scale) == scales
        assert changed.checksum() != data.checksum()


@pytest.mark.parametrize("quantity", ["prices", "returns"])
def test_no_input_of_a_window_is_of_the_day_asked_or_later(stock, quantity):
    prices = [100.0 + 7 * (day % 5) + day for day in range(20)]
    before, after = (stock([*prices[:-1], last], quantity=quantity).splits["test"] for last in (prices[-1], 1.0))
    assert torch.equal(before.inputs, after.inputs)
    assert (before.targets != after.targets).flatten().tolist() == [False, False, False, True]


@pytest.mark.parametrize("horizon", [1, 2])
@pytest.mark.parametrize("quantity", ["prices", "returns"])
def test_targets_turn_back_into_the_prices_of_their_days(stock, quantity, horizon):
    data = stock(quantity=quantity, horizon=horizon)
    for stage, first in (("val", 6), ("test", 8)):
        days, forecast, today, actual = data.to_prices(stage, data.splits[stage].targets)
        assert days == [f"2020-01-{first + 1:02}", f"2020-01-{first + 2:02}"]
        assert actual.tolist() == TEN[first : first + 2]
        assert today.tolist() == TEN[first - horizon : first + 2 - horizon]
        assert forecast.tolist() == pytest.approx(actual.tolist(), abs=1e-5)


def test_a_return_is_taken_from_the_last_price_known(stock):
    data = stock(quantity="returns")
    output = torch.tensor([[(log(1.1) - data.preprocessing.target_scale[0]) / data.preprocessing.target_scale[1]]])
    known = data.to_prices("test", output)  # of the first window alone
    assert known.forecast.tolist() == pytest.approx([17 * exp(log(1.1))], abs=1e-4)
    assert (known.days, known.actual.tolist()) == (["2020-01-09"], [18.0])


def test_columns_are_found_by_name_or_index(stock, tmp_path):
    by_index = stock(price_column=2)
    assert by_index.checksum() == stock(date_column="Date", header="Date,Open, Close ").checksum()
    assert by_index.checksum() == stock(price_column="Close").checksum()
    assert by_index.checksum() != stock(price_column="Close", header="Date,Close,Open", quantity="prices").checksum()


def test_a_packed_file_and_a_time_of_day_are_read(stock, tmp_path):
    plain = stock()
    text = (tmp_path / "stocks/GOOG.csv").read_text().replace("2020-01-02", "2020-01-02 00:00:00-05:00")
    (tmp_path / "GOOG.csv.gz").write_bytes(gzip.compress(text.replace("\n", "\r\n\r\n").encode("utf-8-sig")))
    packed = Stock(dir=str(tmp_path), path="GOOG.csv.gz", look_back=2, val_share=0.2, test_share=0.2)
    packed.setup("fit")
    assert packed.checksum() == plain.checksum()


def test_the_checksum_is_checked_where_one_is_given(stock, tmp_path):
    stock()
    right = hashlib.md5((tmp_path / "stocks/GOOG.csv").read_bytes()).hexdigest()
    stock(md5=right)
    with pytest.raises(UserError, match=rf"GOOG\.csv is not the published file: its MD5 is {right}, expected 0{{32}}"):
        stock(md5="0" * 32)


def test_the_checksum_of_a_named_file_is_checked_for_this_file_alone(stock, tmp_path):
    stock()
    wrong = "0" * 32
    (tmp_path / "mine.csv").write_bytes((tmp_path / "stocks/GOOG.csv").read_bytes())
    for name in ("mine.csv", f"{tmp_path}/mine.csv"):
        stock(path=name, md5=f"{wrong} stocks/GOOG.csv")
    for named in (f"{wrong}  stocks/GOOG.csv", f"{wrong} *./stocks/GOOG.csv"):  # as md5sum prints it
        for name in ("stocks/GOOG.csv", f"{tmp_path}/stocks/GOOG.csv"):
            with pytest.raises(UserError) as refusal:
                stock(path=name, md5=named)
            assert str(refusal.value).endswith(
                f"expected {wrong}.\nMove it elsewhere and put the published file there.\n"
                "To read the present file on purpose: data.md5=''"
            )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"look_back": 0}, "data.look_back and data.horizon: must be at least 1 day"),
        ({"horizon": 0}, "data.look_back and data.horizon: must be at least 1 day"),
        ({"val_share": 0.0}, "data.val_share and data.test_share: must be above 0, and below 1 together"),
        ({"val_share": 0.5, "test_share": 0.5}, "data.val_share and data.test_share: must be above 0, and below"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_a_file_is_opened(wrong, message):
    with pytest.raises(UserError, match=f"^{message.replace('.', '[.]')}"):
        Stock(**wrong)


@pytest.mark.real_data
def test_the_real_file_has_its_days_and_windows(stocks_dir):
    data = Stock(dir=str(stocks_dir), md5="bebefd67a8ec40d9bcfc07d2e3584a70")
    data.setup("fit")
    assert (str(data.table.days[0]), str(data.table.days[-1])) == ("2004-08-19", "2013-03-01")
    # 2,148 days: 430 for the test, 215 for validation, 1,503 to train on, of which 11 have no window before them
    assert [len(split.targets) for split in data.splits.values()] == [1492, 215, 430]
    known = data.to_prices("test", data.splits["test"].targets)
    assert (known.today[-1].item(), known.actual[-1].item()) == (801.20, 806.19)
    assert known.forecast.tolist() == pytest.approx(known.actual.tolist(), abs=0.01)
