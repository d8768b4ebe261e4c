"""Scaling of numbers of any size in tables and prices, and errors for unusable ones."""

import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.stock import Stock
from trainer.data.table import Table


def table(directory, cells, **settings):
    """Return a table with these cells in the first column and the row number in the second."""
    rows = [f"{cell},{number},{number % 2}" for number, cell in enumerate(cells)]
    (directory / "some.csv").write_text("\n".join(["x,y,answer", *rows]))
    data = Table(**{"path": "some.csv", "dir": str(directory), "stratify": False} | settings)
    data.setup("fit")
    return data


def read_error(directory, cells, **settings):
    with pytest.raises(UserError) as error:
        table(directory, cells, **settings)
    return str(error.value).replace(f"{directory}/", "")


def prepared(data, column=0):
    """Return a column of network inputs, in the order of the file."""
    inputs = torch.cat([split.inputs for split in data.splits.values()])
    return data.prepare(inputs)[inputs[:, 1].argsort(), column].tolist()


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param([f"{n}e200" for n in range(10)], id="whose squares overflow"),
        pytest.param([f"{n}e-200" for n in range(10)], id="whose squares are 0"),
        pytest.param([f"{n + 7}e307" for n in range(10)], id="whose sum overflows"),
        pytest.param([f"{n}e-320" for n in range(10)], id="that are nearly 0"),
        pytest.param([str(10**15 + n) for n in range(10)], id="with a large offset"),
        pytest.param([str(-(2**53) + 2 * n) for n in range(10)], id="with a larger one"),
        pytest.param([f"{n}e39" for n in range(10)], id="too large for 32 bits"),
    ],
)
def test_columns_of_any_size_are_standardized(tmp_path, cells):
    data = table(tmp_path, cells)
    assert prepared(data) == pytest.approx(prepared(data, column=1), abs=1e-3)
    train = data.prepare(data.splits["train"].inputs)[:, 0]
    assert (train.mean().item(), train.std(correction=0).item()) == pytest.approx((0, 1), abs=1e-3)


@pytest.mark.parametrize("cell", ["1e300", "-1.7e308", "0.1", "123456789012345678"])
def test_a_constant_column_becomes_zeros(tmp_path, cell):
    assert prepared(table(tmp_path, [cell] * 9 + ["?"])) == [0.0] * 10


DROP = "add it to data.missing if it means a missing number, or leave out column 'x' by data.drop"
RANGE = "which is out of the range of 64-bit floats"
NONE = f"expected a number; {DROP}"
FEW = "leaves too few digits for the other numbers of its column in 32-bit floats"


@pytest.mark.parametrize(
    ("cells", "settings", "message"),
    [
        (
            ["1"] * 4 + ["1e400"] * 6,
            {},
            f"line 6, column 'x' has '1e400', {RANGE}; {DROP}",
        ),
        (
            ["1"] * 4 + ["-1e-400"] * 6,
            {},
            f"line 6, column 'x' has '-1e-400', {RANGE}; {DROP}",
        ),
        (
            ["1", "2"] * 4 + ["-Infinity"] * 2,
            {},
            f"line 10, column 'x' has '-Infinity', {NONE}",
        ),
        ([*"012345678", "9.96921e36"], {}, f"line 11, column 'x': 9.96921e36 {FEW}; {DROP}"),
        (["1.5e308", "-1.7e308"] * 5, {}, f"line 2, column 'x': 1.5e308 does not fit into a 32-bit float; {DROP}"),
        (
            [f"{n}e39" for n in range(10)],
            {"standardize": False},
            f"line 3, column 'x': 1e39 does not fit into a 32-bit float; set data.standardize=true, or {DROP}",
        ),
        (
            [str(1_700_000_000 + n) for n in range(10)],
            {"standardize": False},
            f"line 11, column 'x': 1700000009 {FEW}; set data.standardize=true, or {DROP}",
        ),
        (
            [f"{n}e-60" for n in range(10)],
            {"standardize": False},
            f"line 11, column 'x': 9e-60 {FEW}; set data.standardize=true, or {DROP}",
        ),
    ],
)
def test_a_number_that_a_network_cannot_use_is_an_error_with_its_line(tmp_path, cells, settings, message):
    assert read_error(tmp_path, cells, **settings) == f"some.csv, {message}"


def test_numbers_that_differ_beyond_float_precision_are_left_out_with_a_message(tmp_path, caplog):
    with caplog.at_level("INFO"):
        data = table(tmp_path, [f"1234567890123456789{n}" for n in range(10)])
    assert data.spec.shape == (1,)
    assert "\n  ignored, different numbers, but equal as 64-bit floats: x" in caplog.text


def test_a_row_far_from_training_is_an_error_in_a_prediction(tmp_path):
    data = table(tmp_path, range(10))
    (tmp_path / "new.csv").write_text("x,y\n1,2\n1e41,3\n")
    with pytest.raises(UserError) as error:
        next(data.preprocessing.read([tmp_path / "new.csv"], 10))
    assert str(error.value) == f"{tmp_path}/new.csv, line 3, column 'x': 1e41 does not fit into a 32-bit float"


def test_an_unnamed_row_index_is_left_out_with_a_message(tmp_path, caplog):
    rows = [f"{n},{n * n % 7},{n % 2}" for n in range(10)]
    (tmp_path / "some.csv").write_text("\n".join([",x,answer", *rows]))
    with caplog.at_level("INFO"):
        data = Table(path="some.csv", dir=str(tmp_path))
        data.setup("fit")
    assert data.spec.shape == (1,)
    assert "\n  ignored, a row index: column 0" in caplog.text


def stock(directory, prices, **settings):
    rows = [f"2024-01-{day:02},{price}" for day, price in enumerate(prices, 1)]
    (directory / "some.csv").write_text("\n".join(["Date,Close", *rows]))
    data = Stock(**{"path": "some.csv", "dir": str(directory), "window": 2, "quantity": "prices"} | settings)
    data.setup("fit")
    return data


def test_prices_of_any_size_are_standardized(tmp_path):
    small, large = (
        stock(tmp_path, [f"{day}e{exponent}" for day in range(1, 21)]).splits["train"].inputs for exponent in (0, 200)
    )
    assert large.flatten().tolist() == pytest.approx(small.flatten().tolist())


def test_a_price_that_leaves_no_digits_for_the_others_is_an_error_with_its_line(tmp_path):
    prices = [*range(1, 8), "1e300", *range(9, 21)]
    with pytest.raises(UserError) as error:
        stock(tmp_path, prices)
    assert str(error.value) == f"{tmp_path}/some.csv, line 9, column 'Close': 1e300 {FEW}; fix or remove the line"
    data = stock(tmp_path, range(1, 21))
    (tmp_path / "new.csv").write_text("Date,Close\n2024-01-01,1\n2024-01-02,1e300\n")
    with pytest.raises(UserError, match=r"1e\+300 is too far from the training prices for a 32-bit float$"):
        next(data.preprocessing.read([tmp_path / "new.csv"], 10))
