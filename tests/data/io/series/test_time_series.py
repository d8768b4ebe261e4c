"""Time series as read from files of several providers, and errors for invalid ones."""

import gzip

import numpy as np
import pyarrow
import pytest
from pyarrow.feather import write_feather
from pyarrow.parquet import write_table

from trainer.core.errors import UserError
from trainer.data.io.series.time_series import SeriesSettings, format_times, read_series

PRICES = [10.0, 11.0, 12.5]
DAYS = ["2020-01-13", "2020-01-14", "2020-01-15"]
HEADER = "Date,Open,Close"
GOOD = ["2020-01-01,1,10", "2020-01-02,1,11", "2020-01-03,1,12"]


def test_times_of_day_are_kept(read):
    series = read(["Datetime,Close", "2024-01-02 09:31:00-05:00,2", "2024-01-02 09:30:00-05:00,1"])
    assert (series.days, series.prices.tolist()) == (["2024-01-02 14:30", "2024-01-02 14:31"], [1, 2])
    series = read(["Date,Time,Close", "2024.01.02,09:30,1", "2024.01.02,09:31,2"])
    assert series.days == ["2024-01-02 09:30", "2024-01-02 09:31"]
    assert format_times(np.array(["2024-01-02", "2024-01-02T00:00:01"], "datetime64[s]"))[1] == "2024-01-02 00:00:01"


def test_times_and_unix_times_are_found_without_column_names(read):
    assert read(["2024.01.02,09:30,1", "2024.01.02,09:31,2"]).days == ["2024-01-02 09:30", "2024-01-02 09:31"]
    assert read(["1704187800000,1", "1704187860000,2"]).days == ["2024-01-02 09:30", "2024-01-02 09:31"]
    assert read(["timestamp,Close", "1704187800.5,1", "1704187860.25,2"]).days[1] == "2024-01-02 09:31"


def test_the_error_names_the_number_that_is_no_unix_time(read_error):
    lines = ["timestamp,Close", "1704187800,1", "99999999999999999999,2", "1704187860,3"]
    assert read_error(lines) == "FILE, line 3, column 'timestamp': '99999999999999999999' is not a date like 2004-08-19"


@pytest.mark.parametrize("write", [lambda table, path: write_table(table, path, 100), write_feather])
@pytest.mark.parametrize("is_prediction", [False, True])
def test_all_blocks_of_a_file_are_read(tmp_path, write, is_prediction):
    path = tmp_path / ("prices.parquet" if write is not write_feather else "prices.feather")
    count = 65_536 + 10  # a block of Feather has 65,536 rows
    write(pyarrow.table({"timestamp": range(1_704_187_800, 1_704_187_800 + count), "close": range(1, 1 + count)}), path)
    series = read_series(path, SeriesSettings(is_prediction=is_prediction))
    assert (len(series), series.prices[-1]) == (count, count)
    assert series.find_line(count - 1) == count


def test_all_lines_of_a_long_file_are_known_in_predictions(tmp_path):
    path = tmp_path / "prices.csv"
    rows = [f"{1_704_187_800 + index},{1 + index}\n" for index in range(10_010)]
    path.write_text("timestamp,close\n\n" + "".join(rows))
    series = read_series(path, SeriesSettings(is_prediction=True))
    assert (len(series), series.find_line(0), series.find_line(10_009)) == (10_010, 3, 10_012)


def test_dots_may_separate_hours_and_minutes(read):
    assert read(["Date;Time;Close", "02/01/2024;18.30.00;1", "13/01/2024;19.30.00;2"]).days[0] == "2024-01-02 18:30"


def test_rows_with_few_missing_numbers_are_dropped_and_many_are_an_error(read, read_error):
    rows = [f"2020-01-{day:02},{day}" for day in range(1, 32)]
    series = read(["Date,Close", *rows[:9], "2020-01-10,null", "2020-01-11,", "2020-01-12,.", *rows[12:]])
    assert (len(series), series.prices[8:10].tolist()) == (28, [9, 13])
    assert series.source.notes == ("oldest first", "dropped rows with missing numbers: 3")
    message = read_error(["Date,Close", *rows[:5], "2020-02-01,null", "2020-02-02,null"])
    assert message == (
        "FILE, line 7, column 'Close': the first of 2 missing numbers in 7 rows; remove these rows from the file, or "
        "select another column"
    )


def test_repeated_rows_are_dropped_if_their_numbers_are_equal(read, read_error):
    series = read([HEADER, *GOOD, "2020-01-02,7,11"])
    assert (len(series), series.source.notes[1]) == (3, "dropped repeated rows: 1")
    assert read_error([HEADER, *GOOD, "2020-01-02,1,12"]) == (
        "FILE, line 5, column 'Date': 2020-01-02 is the same time as line 3, with other numbers; expected each time "
        "once; remove one of the lines, or store the rows of each series in a file of its own"
    )


def test_day_and_month_are_found_from_the_order_of_the_rows(read, read_error):
    monthly = [f"01/{month:02}/2020,{month}" for month in range(1, 13)] + ["01/01/2021,1"]
    assert read(["Date,Close", *monthly]).days[1] == "2020-02-01"
    assert read(["Date,Close", *monthly[::-1]]).days[1] == "2020-02-01"
    lines = ["Date,Close", "01/02/2020,1", "01/03/2020,2"]
    assert read_error(lines) == (
        "data.date_format: day and month are ambiguous in FILE, column 'Date', for example '01/02/2020'; set "
        "data.date_format=day_first or data.date_format=month_first"
    )
    assert read(lines, date_format="day_first").days == ["2020-02-01", "2020-03-01"]


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
def test_an_invalid_line_is_an_error(read_error, line, message):
    assert read_error([HEADER, *GOOD, line]) == message


def test_blank_lines_are_skipped_and_counted(read_error):
    message = read_error([HEADER, "", *GOOD, "", ",,", "2020-01-04,1,x"])
    assert message == "FILE, line 8, column 'Close': 'x' is not a price; fix or remove the line"


def test_an_unnamed_column_is_named_by_its_index(read_error):
    message = read_error([",Open,Close", "x,1,10"], date_column=0)
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


def test_predictions_need_no_equal_name_of_the_dates(read, read_error):
    settings = {"date_column": "Date", "price_column": "Close"}
    lines = ["timestamp,Close", "2020-01-02,2", "2020-01-01,1"]
    series = read(lines, **settings, is_prediction=True)
    assert [series.find_line(row) for row in range(2)] == [3, 2]
    assert read_error(lines, **settings) == "data.date_column: FILE has no column 'Date'; there are: Close, timestamp"
