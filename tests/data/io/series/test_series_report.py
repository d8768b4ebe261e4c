"""Messages about stock splits, gaps and the order of a time series."""

import pytest

from trainer.data.io.series.series_report import describe_disorder, describe_jumps, describe_series, find_jumps

USUAL = [100 * 1.01 ** (day % 3) for day in range(30)]


@pytest.mark.parametrize(
    ("factor", "ratio"),
    [
        (0.5, "1/2"),
        (0.51, "1/2"),
        (2, "2"),
        (1 / 3, "1/3"),
        (0.1, "1/10"),
        (20, "20"),
        (1e6, "1e+06"),
        (1e-300, "1/1e+300"),
    ],
)
def test_the_price_changes_in_a_split_by_the_ratio_of_small_numbers(factor, ratio):
    assert find_jumps([*USUAL, *(factor * price for price in USUAL)]) == [(30, ratio)]


@pytest.mark.parametrize(
    "prices",
    [
        [*USUAL, *(0.7 * price for price in USUAL)],
        [*USUAL, *(2.3 * price for price in USUAL)],
        [float(2 ** (day % 3)) for day in range(30)],  # such changes are usual
        [*USUAL, -1.0],
        [1.0, 2.0],
        [],
    ],
)
def test_other_changes_are_no_splits(prices):
    assert find_jumps(prices) == []


def test_a_warning_names_the_day_of_a_split_and_the_adjusted_column(read):
    days = [f"2020-{month:02}-{day:02}" for month in (1, 2) for day in range(1, 29)]
    rows = [f"{day},{100 + n % 3 if n < 30 else 25 + n % 3 / 4},{100 + n % 3}" for n, day in enumerate(days)]
    series = read(["Date,Close,Adj Close", *rows], price_column="Close")
    assert describe_jumps(series).rpartition("/a.csv")[2] == (
        ", line 32, column 'Close': the price changes as in a stock split, or by mistake, on 2020-02-03 (1/4 times the "
        "price before); use 'data.price_column=Adj Close', or fix the file"
    )
    assert describe_jumps(read(["Date,Close,Adj Close", *rows])) == ""


def test_a_large_gap_is_described(read):
    rows = [f"2020-01-{day:02},{day}" for day in range(1, 10)]
    assert "largest gap" not in describe_series(read(["Date,Close", *rows, "2020-01-18,1"]))
    assert describe_series(read(["Date,Close", *rows, "2020-01-20,1"])).endswith(
        "10 rows from 2020-01-01 to 2020-01-20; dates: column 'Date' (year_first); price: column 'Close'; oldest "
        "first; largest gap: 2020-01-09 to 2020-01-20"
    )


def test_a_warning_names_the_first_row_that_is_not_in_order(read):
    rows = [f"2020-01-{day:02},{day}" for day in (1, 2, 4, 3, 5)]
    series = read(["Date,Close", *rows])
    assert series.source.notes == ("in no order, sorted by date",)
    assert describe_disorder(series).rpartition("/a.csv")[2] == (
        ", line 5, column 'Date': 2020-01-03 follows 2020-01-04, but most rows are oldest first; all rows are sorted "
        "by date"
    )
    assert "most rows are newest first" in describe_disorder(read(["Date,Close", *rows[::-1]]))
    assert describe_disorder(read(["Date,Close", *sorted(rows, reverse=True)])) == ""
