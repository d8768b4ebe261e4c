"""Days and times of day in the text of one cell."""

import re
import unicodedata
from datetime import date
from typing import Literal

DateOrder = Literal[
    "year_first",
    "day_first",
    "month_first",
    "unix_seconds",
    "unix_milliseconds",
    "unix_microseconds",
    "unix_nanoseconds",
]
UNIX_TICKS_PER_SECOND: dict[DateOrder, int] = {
    "unix_seconds": 1,
    "unix_milliseconds": 10**3,
    "unix_microseconds": 10**6,
    "unix_nanoseconds": 10**9,
}
TEXT_DATE_ORDERS: tuple[DateOrder, ...] = ("year_first", "day_first", "month_first")
DATE_ORDERS: tuple[DateOrder, ...] = (*TEXT_DATE_ORDERS, *UNIX_TICKS_PER_SECOND)

MONTH_NAMES: tuple[str, ...] = ("January", "February", "March", "April", "May", "June", "July")
MONTH_NAMES += ("August", "September", "October", "November", "December")
MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(MONTH_NAMES, 1)}
MONTH_NUMBERS |= {name[:3]: number for name, number in MONTH_NUMBERS.items()} | {"sept": 9}
WEEKDAY_PATTERN = re.compile(r"(mon|tues?|wed(nes)?|thu(rs)?|fri|sat(ur)?|sun)(day)?[.,]?\s+", re.IGNORECASE)
EASTERN_UNITS = str.maketrans({"年": "-", "月": "-", "日": "", "년": "-", "월": "-", "일": ""})
SEPARATOR = r"(?:\s*[-/]\s*|\.\s*|,?\s+)"
THREE_PARTS_PATTERN = re.compile(rf"(\w+){SEPARATOR}(\w+){SEPARATOR}(\w+)\.?")
MONTH_PATTERN = re.compile(r"(?P<year>\d{4})\s*[-/]\s*(?P<month>\d{1,2})-?|(?P<name>[^\W\d_]+)\.?[-/\s]+(?P<of>\d{4})")
WEEK_PATTERN = re.compile(r"(\d{4})-?W(\d{2})(?:-?([1-7]))?", re.IGNORECASE)
QUARTER_PATTERN = re.compile(r"(\d{4})[- ]?Q([1-4])", re.IGNORECASE)
COMPACT_PATTERN = re.compile(r"(\d{4})(\d{2})(\d{2})")
COMPACT_TIME_PATTERN = re.compile(r"(\d{8})[T ]?(\d{2})(\d{2})(\d{2})?((?:Z|[+-]\d{2}:?\d{2})?)", re.IGNORECASE)
TIME_PATTERN = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([ap]\.?m\.?)?\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?", re.IGNORECASE
)
YEAR_PATTERN = re.compile(r"\d{4}", re.ASCII)
DAY_SECONDS = 86_400
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

Days = dict[DateOrder, int]  # days since 1970, in each order in which the text is a date


class DateReader:
    """Parser of dates that parses equal days, and equal times of day, only once."""

    def __init__(self) -> None:
        self._days: dict[str, Days] = {}
        self._times: dict[str, tuple[int, int] | None] = {"": (0, 0)}

    def read(self, cell: str) -> tuple[Days, int, int]:
        """Return the days of a cell, the seconds of its time of day, and the offset of its zone in seconds."""
        day, time = _split_time(cell)
        if time not in self._times:
            self._times[time] = _parse_time(time)
        clock = self._times[time]
        if clock is None:
            return {}, 0, 0
        if day not in self._days:
            self._days[day] = _parse_day(unicodedata.normalize("NFKC", day))
        return self._days[day], *clock


def _split_time(cell: str) -> tuple[str, str]:
    """Return the texts of the day and of the time, which is empty if there is none."""
    if match := COMPACT_TIME_PATTERN.fullmatch(cell):
        day, hour, minute, second, zone = match.groups()
        return day, f"{hour}:{minute}:{second or '00'}{zone}"
    colon = cell.find(":")
    if colon < 0:
        return cell.strip(), ""
    hour_start = max(0, colon - 2)
    if not cell[hour_start].isdigit():
        hour_start += 1
    return cell[:hour_start].rstrip(" ,").removesuffix("T"), cell[hour_start:].strip()


def _parse_time(text: str) -> tuple[int, int] | None:
    """Return the seconds since midnight and the offset of the zone in seconds, or None if it is no time."""
    match = TIME_PATTERN.fullmatch(text)
    if match is None:
        return None
    hour, minute, second = (int(part or 0) for part in match.groups()[:3])
    half = (match[4] or "").lower()[:1]
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + 12 * (half == "p")
    seconds = 3600 * hour + 60 * minute + second
    if minute > 59 or second > 59 or seconds > DAY_SECONDS:  # 24:00 is the end of a day
        return None
    zone = match[5] or ""
    if zone[:1] not in ("+", "-"):
        return seconds, 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = 3600 * int(digits[:2]) + 60 * int(digits[2:])
    return seconds, -offset if zone.startswith("-") else offset


def _parse_day(text: str) -> Days:
    """Return the day in each order in which a text is a day."""
    text = WEEKDAY_PATTERN.sub("", text.strip(), count=1).translate(EASTERN_UNITS).strip()
    if match := WEEK_PATTERN.fullmatch(text):
        return _collect(year_first=_week_day(int(match[1]), int(match[2]), int(match[3] or 1)))
    if match := QUARTER_PATTERN.fullmatch(text):
        return _collect(year_first=_day(match[1], str(3 * int(match[2]) - 2), "1"))
    if match := COMPACT_PATTERN.fullmatch(text):
        return _collect(year_first=_day(*match.groups()))
    if YEAR_PATTERN.fullmatch(text):
        return _collect(year_first=_day(text, "1", "1"))
    if match := MONTH_PATTERN.fullmatch(text):
        if match["year"]:
            return _collect(year_first=_day(match["year"], match["month"], "1"))
        return _collect(month_first=_day(match["of"], match["name"], "1"))
    if match := THREE_PARTS_PATTERN.fullmatch(text):
        first, second, third = match.groups()
        return _collect(
            year_first=_day(first, second, third) if len(first) == 4 else None,
            day_first=_day(third, second, first),
            month_first=_day(third, first, second),
        )
    return {}


def _collect(**days: int | None) -> Days:
    return {order: days[order] for order in DATE_ORDERS if days.get(order) is not None}  # type: ignore[misc]


def _day(year: str, month: str, day: str) -> int | None:
    """Return the days since 1970, or None if there is no such day."""
    number = MONTH_NUMBERS.get(month.casefold()) or (int(month) if _is_short_number(month) else None)
    if number is None or not _is_short_number(day) or len(year) not in (2, 4) or not year.isdecimal():
        return None
    value = int(year)
    if len(year) == 2:
        value += 2000 if value < 69 else 1900  # as in POSIX
    try:
        return date(value, number, int(day)).toordinal() - EPOCH_ORDINAL
    except ValueError:
        return None


def _is_short_number(text: str) -> bool:
    return len(text) <= 2 and text.isdecimal()


def _week_day(year: int, week: int, day: int) -> int | None:
    try:
        return date.fromisocalendar(year, week, day).toordinal() - EPOCH_ORDINAL
    except ValueError:
        return None
