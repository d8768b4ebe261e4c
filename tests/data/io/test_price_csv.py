"""Errors for invalid CSV files of daily prices."""

import gzip

import pytest

from trainer.core.errors import UserError
from trainer.data.io.csv_file import read_csv
from trainer.data.io.price_csv import parse_prices
from trainer.data.stock import Stock

HEADER = "Date,Open,Close"
GOOD = ["2020-01-01,1,10", "2020-01-02,1,11", "2020-01-03,1,12"]


def read_prices(file, date_column, price_column, *, positive):
    return parse_prices(read_csv(file, header=True, delimiter=","), date_column, price_column, positive=positive)


def read_error(file, lines, date_column="Date", price_column="Close", positive=True):
    file.write_text("\n".join(lines))
    with pytest.raises(UserError) as error:
        read_prices(file, date_column, price_column, positive=positive)
    return str(error.value).replace(str(file), "FILE")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(UserError) as error:
        Stock(dir=str(tmp_path), path="stocks/X.csv").setup("fit")
    assert str(error.value) == (
        f"data.path: no file '{tmp_path}/stocks/X.csv'\n  Put it there, set data.path to an absolute path, or set "
        "data.dir (or the environment variable TRAINER_DATA_DIR) to a directory that contains stocks/X.csv."
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"price_column": "Clos"},
            "data.price_column: FILE has no column 'Clos'; did you mean 'Close'?",
        ),
        (
            {"date_column": "When"},
            "data.date_column: FILE has no column 'When'; there are: Close, Date, Open",
        ),
        (
            {"price_column": 3},
            "data.price_column: FILE has 3 columns, 0 to 2; no 3",
        ),
        (
            {"price_column": -4},
            "data.price_column: FILE has 3 columns, 0 to 2; no -4",
        ),
    ],
)
def test_a_missing_column_is_an_error_with_the_existing_ones(tmp_path, columns, message):
    assert read_error(tmp_path / "prices.csv", [HEADER, *GOOD], **columns) == message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2020-01-04,1,null", "FILE, line 5, column 'Close': 'null' is not a price; fix or remove the line"),
        ("2020-01-04,1,", "FILE, line 5, column 'Close': '' is not a price; fix or remove the line"),
        ("2020-01-04,1,nan", "FILE, line 5, column 'Close': 'nan' is not a price; fix or remove the line"),
        ("2020-01-04,1,inf", "FILE, line 5, column 'Close': 'inf' is not a price; fix or remove the line"),
        ('2020-01-04,1,"1,200"', "FILE, line 5, column 'Close': '1,200' is not a price; fix or remove the line"),
        (
            "2020-01-04,1,0",
            "FILE, line 5, column 'Close': 0 is not above 0, so it has no return; fix it or use data.quantity=prices",
        ),
        (
            "2020-01-04,1,-3.5",
            "FILE, line 5, column 'Close': -3.5 is not above 0, so it has no return; "
            "fix it or use data.quantity=prices",
        ),
        ("2020-01-04,1", "FILE, line 5: 2 cells, but line 1 has 3"),
        ("04/01/2020,1,13", "FILE, line 5, column 'Date': '04/01/2020' is not a date like 2004-08-19"),
        (
            "2020-01-03,1,13",
            "FILE, line 5, column 'Date': 2020-01-03 is the same day as line 4; "
            "expected each day once, the oldest first",
        ),
        (
            "2020-01-01,1,13",
            "FILE, line 5, column 'Date': 2020-01-01 is before 2020-01-03 in line 4; "
            "expected each day once, the oldest first",
        ),
    ],
)
def test_an_invalid_line_is_an_error(tmp_path, line, message):
    assert read_error(tmp_path / "prices.csv", [HEADER, *GOOD, line]) == message


def test_blank_lines_are_skipped_and_counted(tmp_path):
    message = read_error(tmp_path / "prices.csv", [HEADER, "", *GOOD, "", ",,", "2020-01-04,1,x"])
    assert message == "FILE, line 8, column 'Close': 'x' is not a price; fix or remove the line"


def test_an_unnamed_column_is_named_by_its_index(tmp_path):
    message = read_error(tmp_path / "prices.csv", [",Open,Close", "x,1,10"], date_column=0)
    assert message == "FILE, line 2, column 0 (counted from 0): 'x' is not a date like 2004-08-19"


def test_prices_of_0_and_below_are_valid_without_returns(tmp_path):
    (tmp_path / "oil.csv").write_text("\n".join([HEADER, *GOOD, "2020-04-20,1,-37.63"]))
    assert read_prices(tmp_path / "oil.csv", 0, 2, positive=False).prices.tolist() == [10, 11, 12, -37.63]


@pytest.mark.parametrize("raw", [b"Date,Close", gzip.compress(b"x", mtime=0)[:-4]], ids=["plain", "cut off"])
def test_an_invalid_gzip_file_is_an_error(tmp_path, raw):
    (tmp_path / "a.csv.gz").write_bytes(raw)
    with pytest.raises(UserError, match=r"a\.csv\.gz: cannot be read: "):
        read_prices(tmp_path / "a.csv.gz", 0, 1, positive=True)


def test_a_file_that_is_not_text_is_an_error(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"Date,Close\n\xff\xfe")
    with pytest.raises(UserError, match=r"a\.csv: not UTF-8 text \("):
        read_prices(tmp_path / "a.csv", 0, 1, positive=True)


@pytest.mark.parametrize(("rows", "window", "needed"), [(3, 2, 4), (3, 10, 12)])
def test_too_few_days_for_a_window_are_an_error(tmp_path, rows, window, needed):
    (tmp_path / "a.csv").write_text("\n".join([HEADER, *GOOD[:rows]]))
    data = Stock(dir=str(tmp_path), path="a.csv", window=window)
    with pytest.raises(UserError) as error:
        data.setup("fit")
    trained = max(0, rows - 1)  # of 3 days, 0.2 for the test is 1 and 0.1 for validation is 0
    assert str(error.value) == (
        f"{tmp_path}/a.csv: {trained} of its {rows} days are for training, but data.window={window} with "
        f"data.horizon=1 needs {needed}; use a longer file or a shorter window"
    )
