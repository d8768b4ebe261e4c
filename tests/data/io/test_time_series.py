"""Time series as read from files of several providers, and errors for invalid ones."""

import gzip

import numpy as np
import pytest

from trainer.core.errors import UserError
from trainer.data.io.dialect_detection import DialectSettings
from trainer.data.io.time_series import SeriesSettings, format_times, read_series

PRICES = [10.0, 11.0, 12.5]
DAYS = ["2020-01-13", "2020-01-14", "2020-01-15"]
HEADER = "Date,Open,Close"
GOOD = ["2020-01-01,1,10", "2020-01-02,1,11", "2020-01-03,1,12"]


@pytest.fixture
def read(tmp_path):
    """Return a function that writes lines to a file and reads its time series."""

    def write_and_read(lines, **settings):
        text = lines if isinstance(lines, str) else "\n".join(lines)
        (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        return read_series(tmp_path / "a.csv", SeriesSettings(**settings))

    return write_and_read


def read_error(read, lines, **settings):
    with pytest.raises(UserError) as error:
        read(lines, **{"is_positive": True} | settings)
    message = str(error.value)
    return message[: message.find("/")] + message[message.find("a.csv") :].replace("a.csv", "FILE")


def summarize(series):
    columns = series.source.columns
    return series.days, series.prices.tolist(), series.source.table.describe_column(columns.price)


@pytest.mark.parametrize(
    ("text", "price"),
    [
        pytest.param(
            "Date,Open,High,Low,Close,Adj Close,Volume\n2020-01-13,1,1,1,5,10,9\n2020-01-14,1,1,1,5,11,9\n"
            "2020-01-15,1,1,1,5,12.5,9\n",
            "Adj Close",
            id="yahoo",
        ),
        pytest.param(
            "timestamp,open,close,volume\n2020-01-15,1,12.5,9\n2020-01-14,1,11,9\n2020-01-13,1,10,9\n",
            "close",
            id="alpha vantage",
        ),
        pytest.param(
            "timestamp,open,5. adjusted close\n2020-01-15,1,12.5\n2020-01-14,1,11\n2020-01-13,1,10\n",
            "5. adjusted close",
            id="alpha vantage, adjusted",
        ),
        pytest.param(
            '"Date","Price","Vol.","Change %"\n"Jan 15, 2020","12.50","1.2M","1.5%"\n"Jan 14, 2020","11.00","-","1%"\n'
            '"Jan 13, 2020","10.00","3K","-0.5%"\n',
            "Price",
            id="investing",
        ),
        pytest.param(
            "Date,Close/Last,Volume\n01/15/2020, $12.50,5\n01/14/2020, $11.00,5\n01/13/2020, $10.00,5\n",
            "Close/Last",
            id="nasdaq",
        ),
        pytest.param(
            "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<CLOSE>\nA,D,20200113,000000,1,10\nA,D,20200114,000000,1,11\n"
            "A,D,20200115,000000,1,12.5\n",
            "<CLOSE>",
            id="stooq",
        ),
        pytest.param(
            "Price,Close,High\nTicker,A,A\nDate,,\n2020-01-13,10,1\n2020-01-14,11,1\n2020-01-15,12.5,1\n",
            "Close",
            id="yfinance",
        ),
        pytest.param("Datum;Schlusskurs\n13.01.2020;10,0\n14.01.2020;11,0\n15.01.2020;12,5\n", "Schlusskurs", id="de"),
        pytest.param(
            "日期,收盘,成交量\n2020年1月13日,10,5\n2020年1月14日,11,5\n2020年1月15日,12.5,5\n", "收盘", id="zh"
        ),
        pytest.param(",A,B\n2020-01-13,x,10\n2020-01-14,x,11\n2020-01-15,x,12.5\n", "B", id="the only numbers"),
        pytest.param(
            "time,close\n1578873600,10\n1578960000,11\n1579046400,12.5\n", "close", id="unix seconds of tradingview"
        ),
    ],
)
def test_files_of_providers_are_read_as_downloaded(read, text, price):
    assert summarize(read(text)) == (DAYS, PRICES, f"column '{price}'")


def test_names_of_columns_are_not_necessary(read):
    days, prices, _ = summarize(read(["2020-01-13,10", "2020-01-14,11", "2020-01-15,12.5"]))
    assert (days, prices) == (DAYS, PRICES)


def test_every_detected_part_can_be_set(read):
    text = "When|Since|A|B\n1.1.2020|2.1.2020|7|10\n2.1.2020|3.1.2020|8|11\n3.1.2020|4.1.2020|9|12.5\n"
    series = read(
        text,
        date_column="Since",
        price_column="A",
        input_columns=("B", 2),
        date_format="day_first",
        dialect=DialectSettings(delimiter="|", header=True),
    )
    assert (series.days[0], series.prices.tolist()) == ("2020-01-02", [7, 8, 9])
    assert series.inputs.tolist() == [[10, 7], [11, 8], [12.5, 9]]
    assert series.price_inputs == (False, True)


def test_all_input_columns_are_those_of_numbers(read):
    text = ",Date,Name,Close,Vol\n0,2020-01-01,a,10,1.5K\n1,2020-01-02,a,11,2M\n2,2020-01-03,a,12.5,3\n"
    series = read(text, input_columns="all")
    assert series.inputs.tolist() == [[10, 1500], [11, 2e6], [12.5, 3]]


def test_columns_of_several_tickers_are_named_after_all_header_lines(read):
    lines = ["Price,Close,Close", "Ticker,A,B", "Date,,", *(f"{day},{n},{n * 2}" for n, day in enumerate(DAYS, 1))]
    assert read_error(read, lines) == (
        "data.price_column: FILE has several columns that may be the price: Close A, Close B; set one of them, for "
        "example 'data.price_column=Close A'"
    )
    assert read(lines, price_column="Close B").prices.tolist() == [2, 4, 6]


@pytest.mark.parametrize(
    ("cells", "prices"),
    [
        (['"$1,234.50"', '"$999.00"', "1000"], [1234.5, 999, 1000]),
        (['"1.234,50"', '"999,00"', "1000"], [1234.5, 999, 1000]),
        (["1 234.5", "\u2212999", "12e1"], [1234.5, -999, 120]),
        (["1.5K", "2M", "3b"], [1500, 2e6, 3e9]),
    ],
)
def test_numbers_are_read_in_the_usual_formats(read, cells, prices):
    lines = ["Date,Close", *(f"{day},{cell}" for day, cell in zip(DAYS, cells, strict=True))]
    assert read(lines).prices.tolist() == prices


def test_a_decimal_comma_in_one_column_applies_to_all(read):
    lines = ["Date;Close;Volume", "2020-01-01;1,5;1.234", "2020-01-02;2,25;2.000"]
    assert read(lines, input_columns=("Volume",)).inputs.tolist() == [[1234], [2000]]


def test_times_of_day_are_kept(read):
    series = read(["Datetime,Close", "2024-01-02 09:31:00-05:00,2", "2024-01-02 09:30:00-05:00,1"])
    assert (series.days, series.prices.tolist()) == (["2024-01-02 14:30", "2024-01-02 14:31"], [1, 2])
    series = read(["Date,Time,Close", "2024.01.02,09:30,1", "2024.01.02,09:31,2"])
    assert series.days == ["2024-01-02 09:30", "2024-01-02 09:31"]
    assert format_times(np.array(["2024-01-02", "2024-01-02T00:00:01"], "datetime64[s]"))[1] == "2024-01-02 00:00:01"


def test_rows_with_few_missing_numbers_are_dropped_and_many_are_an_error(read):
    rows = [f"2020-01-{day:02},{day}" for day in range(1, 32)]
    series = read(["Date,Close", *rows[:9], "2020-01-10,null", "2020-01-11,", "2020-01-12,.", *rows[12:]])
    assert (len(series), series.prices[8:10].tolist()) == (28, [9, 13])
    assert series.source.notes == ("oldest first", "dropped rows with missing numbers: 3")
    message = read_error(read, ["Date,Close", *rows[:5], "2020-02-01,null", "2020-02-02,null"])
    assert message == (
        "FILE, line 7, column 'Close': the first of 2 missing numbers in 7 rows; remove these rows from the file, or "
        "select another column"
    )


def test_repeated_rows_are_dropped_if_their_numbers_are_equal(read):
    series = read([HEADER, *GOOD, "2020-01-02,7,11"])
    assert (len(series), series.source.notes[1]) == (3, "dropped repeated rows: 1")
    assert read_error(read, [HEADER, *GOOD, "2020-01-02,1,12"]) == (
        "FILE, line 5, column 'Date': 2020-01-02 is the same time as line 3, with other numbers; expected each time "
        "once; remove one of the lines, or store the rows of each series in a file of its own"
    )


def test_day_and_month_are_found_from_the_order_of_the_rows(read):
    monthly = [f"01/{month:02}/2020,{month}" for month in range(1, 13)] + ["01/01/2021,1"]
    assert read(["Date,Close", *monthly]).days[1] == "2020-02-01"
    assert read(["Date,Close", *monthly[::-1]]).days[1] == "2020-02-01"
    lines = ["Date,Close", "01/02/2020,1", "01/03/2020,2"]
    assert read_error(read, lines) == (
        "data.date_format: day and month are ambiguous in FILE, column 'Date', for example '01/02/2020'; set "
        "data.date_format=day_first or data.date_format=month_first"
    )
    assert read(lines, date_format="day_first").days == ["2020-02-01", "2020-03-01"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"price_column": "Clos"}, "data.price_column: FILE has no column 'Clos'; did you mean 'Close'?"),
        ({"date_column": "When"}, "data.date_column: FILE has no column 'When'; there are: Close, Date, Open"),
        ({"price_column": 3}, "data.price_column: FILE has 3 columns, 0 to 2; no 3"),
        ({"price_column": -4}, "data.price_column: FILE has 3 columns, 0 to 2; no -4"),
        (
            {"input_columns": ("Volume",)},
            "data.input_columns: FILE has no column 'Volume'; there are: Close, Date, Open",
        ),
    ],
)
def test_a_missing_column_is_an_error_with_the_existing_ones(read, columns, message):
    assert read_error(read, [HEADER, *GOOD], **columns) == message


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["x,y", "a,1", "b,2"],
            "data.date_column: FILE has no column of dates; set data.date_column to its name or index",
        ),
        (
            ["Date,A,B", "2020-01-01,1,2", "2020-01-02,1,2"],
            "data.price_column: FILE has several columns that may be the price: A, B; set one of them, for example "
            "'data.price_column=A'",
        ),
        (
            ["Date,A", "2020-01-01,x", "2020-01-02,x"],
            "data.price_column: FILE has no column of numbers besides the dates",
        ),
    ],
)
def test_columns_that_are_not_recognized_have_to_be_set(read, lines, message):
    assert read_error(read, lines) == message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2020-01-04,1,inf", "FILE, line 5, column 'Close': 'inf' is not a price; fix or remove the line"),
        ("2020-01-04,1,12x", "FILE, line 5, column 'Close': '12x' is not a price; fix or remove the line"),
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
        ("04/13/2020,1,13", "FILE, line 5, column 'Date': '04/13/2020' is not a date like 2004-08-19"),
        ("1546387,1,13", "FILE, line 5, column 'Date': '1546387' is not a date like 2004-08-19"),
        (",1,13", "FILE, line 5, column 'Date': the date is missing; fix or remove the line"),
    ],
)
def test_an_invalid_line_is_an_error(read, line, message):
    assert read_error(read, [HEADER, *GOOD, line]) == message


def test_blank_lines_are_skipped_and_counted(read):
    message = read_error(read, [HEADER, "", *GOOD, "", ",,", "2020-01-04,1,x"])
    assert message == "FILE, line 8, column 'Close': 'x' is not a price; fix or remove the line"


def test_an_unnamed_column_is_named_by_its_index(read):
    message = read_error(read, [",Open,Close", "x,1,10"], date_column=0)
    assert message == "FILE, line 2, column 0 (counted from 0): 'x' is not a date like 2004-08-19"


def test_prices_of_0_and_below_are_valid_without_returns(read):
    assert read([HEADER, *GOOD, "2020-04-20,1,-37.63"]).prices.tolist() == [10, 11, 12, -37.63]


@pytest.mark.parametrize("raw", [b"Date,Close", gzip.compress(b"x", mtime=0)[:-4]], ids=["plain", "cut off"])
def test_an_invalid_gzip_file_is_an_error(tmp_path, raw):
    (tmp_path / "a.csv.gz").write_bytes(raw)
    with pytest.raises(UserError, match=r"a\.csv\.gz: "):
        read_series(tmp_path / "a.csv.gz", SeriesSettings())


def test_a_changed_file_is_read_again(read, tmp_path):
    assert read([HEADER, *GOOD]).prices[0] == 10
    assert read([HEADER, *GOOD]) is read_series(tmp_path / "a.csv", SeriesSettings())
    assert read([HEADER, "2020-01-01,1,100", *GOOD[1:]]).prices[0] == 100


def test_predictions_need_no_equal_name_of_the_dates(read):
    settings = {"date_column": "Date", "price_column": "Close"}
    lines = ["timestamp,Close", "2020-01-02,2", "2020-01-01,1"]
    series = read(lines, **settings, is_prediction=True)
    assert [series.find_line(row) for row in range(2)] == [3, 2]
    assert (
        read_error(read, lines, **settings)
        == "data.date_column: FILE has no column 'Date'; there are: Close, timestamp"
    )
