"""Dates in text cells, with their formats and time zones."""

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from trainer.core.errors import UserError
from trainer.data.io.tables.date_format import DateColumn, DateFormat, find_date_formats, parse_dates
from trainer.data.io.tables.date_text import DateReader


def find_orders(*cells, numbers=False):
    return [date_format.order for date_format in find_date_formats(cells, numbers=numbers)]


def parse(*cells, order="year_first"):
    return [str(value).replace("T00:00:00", "") for value in parse_dates(cells, DateFormat(order))]


@pytest.mark.parametrize(
    ("cell", "order", "date"),
    [
        ("2019-01-02", "year_first", "2019-01-02"),
        ("2019/1/2", "year_first", "2019-01-02"),
        ("2019.01.02", "year_first", "2019-01-02"),
        ("2019-Jan-02", "year_first", "2019-01-02"),
        ("20190102", "year_first", "2019-01-02"),
        ("2019-W01-3", "year_first", "2019-01-02"),
        ("2020W53", "year_first", "2020-12-28"),
        ("2019-01", "year_first", "2019-01-01"),
        ("2019Q2", "year_first", "2019-04-01"),
        ("2019年1月2日", "year_first", "2019-01-02"),
        ("２０１９年１月", "year_first", "2019-01-01"),
        ("2019. 1. 2.", "year_first", "2019-01-02"),
        ("2019-01-02 09:30", "year_first", "2019-01-02T09:30:00"),
        ("2019-01-02T09:30:15.987", "year_first", "2019-01-02T09:30:15"),
        ("20190102T093015", "year_first", "2019-01-02T09:30:15"),
        ("201901020930", "year_first", "2019-01-02T09:30:00"),
        ("2019-01-02 24:00", "year_first", "2019-01-03"),
        ("25.12.2019", "day_first", "2019-12-25"),
        ("2-Jan-19", "day_first", "2019-01-02"),
        ("Wed, 02 Jan 2019 09:30:00 GMT", "day_first", "2019-01-02T09:30:00"),
        ("31/12/70", "day_first", "1970-12-31"),
        ("12/25/2019", "month_first", "2019-12-25"),
        ("Jan 02, 2019", "month_first", "2019-01-02"),
        ("Sept. 2, 2019", "month_first", "2019-09-02"),
        ("January 2019", "month_first", "2019-01-01"),
        ("12/25/2019 4:05 PM", "month_first", "2019-12-25T16:05:00"),
        ("12/25/2019, 12:05 a.m.", "month_first", "2019-12-25T00:05:00"),
    ],
)
def test_a_date_has_one_format(cell, order, date):
    assert find_orders(cell) == [order]
    assert parse(cell, order=order) == [date]


def test_order_of_day_and_month_is_found_in_all_cells():
    assert find_orders("01/02/2019") == ["day_first", "month_first"]
    assert find_orders("01/02/2019", "13/02/2019", "", "null") == ["day_first"]
    assert find_orders("01/02/2019", "02/13/2019") == ["month_first"]
    assert find_orders("13/02/2019", "02/13/2019") == []
    assert parse("01/02/2019", order="day_first") == ["2019-02-01"]
    assert parse("01/02/2019", order="month_first") == ["2019-01-02"]


@pytest.mark.parametrize(
    "cell",
    [
        "x",
        "3.14",
        "1,234.50",
        "1.234.567",
        "2019-13-01",
        "2019-02-30",
        "30/02/2019",
        "2019-W60-1",
        "09:30",
        "2019",
        "12",
        "1546387200",
        "Monday",
        "1/2",
        "2019-01-02T25:00",
        "2019-01-02T24:01",
        "2019-01-02T09:60",
        "20191301",
        "Foo-01-2019",
        "123456789012",
    ],
)
def test_other_cells_are_no_dates(cell):
    assert find_orders(cell) == []
    assert find_orders("2019-01-02", cell) == []


def test_cells_that_are_no_dates_are_not_a_time():
    assert parse("2019-01-02", "", "x", "02.01.2019") == ["2019-01-02", "NaT", "NaT", "NaT"]
    assert parse("5", "x", order="unix_seconds") == ["1970-01-01T00:00:05", "NaT"]
    assert parse() == []
    assert find_orders() == find_orders("", "NA") == []


@pytest.mark.parametrize(
    ("unit", "ticks"),
    [("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6), ("nanoseconds", 10**9)],
)
def test_unix_times_are_found_in_columns_of_times(unit, ticks):
    cells = [str(1546387200 * ticks), str(1546387260 * ticks + ticks // 2)]
    assert find_orders(*cells) == []
    assert find_orders(*cells, numbers=True) == [f"unix_{unit}"]
    assert parse(*cells, order=f"unix_{unit}") == ["2019-01-02", "2019-01-02T00:01:00"]


def test_small_numbers_are_unix_times_only_if_later_ones_are():
    assert find_orders("-252460800", "0", "1546387200", numbers=True) == ["unix_seconds"]  # from 1962
    assert find_orders("1546387", "1546388", numbers=True) == []


def test_numbers_out_of_range_are_no_unix_times():
    assert find_orders("1546387200", "-9999999999999999999", numbers=True) == []
    numbers = ["1546387200", "100000000000", "9999999999999999999", "-9999999999999999999"]
    assert parse(*numbers, order="unix_seconds") == ["2019-01-02", "NaT", "NaT", "NaT"]


def test_each_distinct_cell_is_parsed_once(monkeypatch):
    texts = []
    read = DateReader.read
    monkeypatch.setattr(DateReader, "read", lambda self, cell: texts.append(cell) or read(self, cell))
    column = DateColumn(["01/02/2019", "03/02/2019", "01/02/2019"])
    first, second = column.find_formats()
    assert str(column.parse(first)[2]) == "2019-02-01T00:00:00"
    assert str(column.parse(second)[2]) == "2019-01-02T00:00:00"
    assert texts == ["01/02/2019", "03/02/2019"]


def test_years_are_dates_in_columns_of_times():
    assert find_orders("1999", "2000") == []
    assert find_orders("1999", "2000", numbers=True) == ["year_first"]
    assert parse("1999", "2000") == ["1999-01-01", "2000-01-01"]


def test_time_zones_are_converted_to_utc():
    cells = ["2019-01-02 09:30:00-05:00", "2019-01-02T23:30+0530", "2019-01-02 09:30Z", "2019-01-02 09:30"]
    assert parse(*cells) == [f"2019-01-02T{time}:00" for time in ("14:30", "18:00", "09:30", "09:30")]


def test_midnights_of_a_time_zone_are_days():
    assert parse("2019-07-02 00:00:00+09:00", "2019-11-29 00:00:00+09:00") == ["2019-07-02", "2019-11-29"]


def test_a_format_needs_a_known_order():
    with pytest.raises(UserError, match=r"^data\.date_format: expected one of year_first, day_first, .*, not 'iso'$"):
        DateFormat("iso")


def test_long_columns_are_parsed_fast():
    start = datetime(2000, 1, 1, tzinfo=UTC)
    cells = [f"{start + timedelta(minutes=minute):%d.%m.%Y %H:%M}" for minute in range(100_000)]
    started = time.process_time()
    dates = parse_dates(cells, *find_date_formats(cells))
    assert time.process_time() - started < 2  # 0.3 s; one regular expression per cell takes several times as long
    assert (np.diff(dates) == np.timedelta64(1, "m")).all()
