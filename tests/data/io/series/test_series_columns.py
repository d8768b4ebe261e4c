"""Columns of time series in files of several providers, recognized or set."""

import pytest

from trainer.data.io.tables.dialect_detection import DialectSettings

PRICES = [10.0, 11.0, 12.5]
DAYS = ["2020-01-13", "2020-01-14", "2020-01-15"]
HEADER = "Date,Open,Close"
GOOD = ["2020-01-01,1,10", "2020-01-02,1,11", "2020-01-03,1,12"]


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


def test_columns_of_several_tickers_are_named_after_all_header_lines(read, read_error):
    lines = ["Price,Close,Close", "Ticker,A,B", "Date,,", *(f"{day},{n},{n * 2}" for n, day in enumerate(DAYS, 1))]
    assert read_error(lines) == (
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
def test_a_missing_column_is_an_error_with_the_existing_ones(read_error, columns, message):
    assert read_error([HEADER, *GOOD], **columns) == message


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
            "data.price_column=A",
        ),
        (
            ["Date,A", "2020-01-01,x", "2020-01-02,x"],
            "data.price_column: FILE has no column of numbers besides the dates",
        ),
    ],
)
def test_columns_that_are_not_recognized_have_to_be_set(read_error, lines, message):
    assert read_error(lines) == message
