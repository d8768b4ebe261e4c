"""Types of the columns of a table, decided from their statistics."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from dataclasses import fields as dataclass_fields
from typing import Any, Literal, get_args

from trainer.core.errors import UserError, did_you_mean
from trainer.data.io.tables.date_format import DateFormat, find_date_formats
from trainer.data.io.tables.header_detection import is_missing
from trainer.data.io.tables.number_format import FORMATS, NumberFormat, find_number_formats, sort_formats
from trainer.data.tabular.column_statistics import ColumnStatistics

ColumnKind = Literal["number", "boolean", "category", "date", "text", "ignored"]
COLUMN_KINDS: tuple[str, ...] = get_args(ColumnKind)

MAX_CATEGORIES = 200  # the rarest values of a column with more share a category
MIN_NUMBER_SHARE = 0.9  # of the cells; a column with fewer numbers, or dates, does not contain them with mistakes
MIN_MARKED_SHARE = 0.5  # of the cells; with fewer numbers, the other cells are values too
MAX_MARKERS = 2  # different texts that may mark missing numbers
MAX_CODES = 20  # different values, some of them texts, that are codes such as 0, 1, 2 and 3+
MIN_CODE_ROWS = 3  # of each text among codes; a rarer one is a mistake
MAX_COMPARED_CELLS = 200  # of a column of dates with mistakes
MIN_IDENTIFIER_ROWS = 20
MIN_TEXT_WORDS = 2.5  # on average
BOOLEANS: Mapping[str, float] = {
    **dict.fromkeys(("true", "t", "yes", "y", "on"), 1.0),
    **dict.fromkeys(("false", "f", "no", "n", "off"), 0.0),
}
IDENTIFIER_NAME_PATTERN = re.compile(r"(.*[\s_.-])?(id|uuid|guid|index|key|row|rownames?|no|nr)", re.IGNORECASE)
CAMEL_CASE_IDENTIFIER_PATTERN = re.compile(r".*[a-z](Id|ID)")
DATE_NAME_PATTERN = re.compile(r"(.*[\W_])?(date|day|time|timestamp)([\W_].*)?", re.IGNORECASE)
COMPACT_DATE_PATTERN = re.compile(r"(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        index: Index from 0.
        name: Name, empty if there is none.
        kind: Type of the values; `"ignored"` columns are no inputs.
        reason: Why a column is ignored.
        number_format: Format of the numbers.
        date_format: Format of the dates.
        categories: Values of a category, the most frequent first.
        has_missing: Whether cells are missing.
    """

    index: int
    name: str
    kind: ColumnKind
    reason: str = ""
    number_format: NumberFormat = FORMATS[0]
    date_format: DateFormat | None = None
    categories: tuple[str, ...] = ()
    has_missing: bool = False


def classify_column(index: int, name: str | None, statistics: ColumnStatistics, number_format: NumberFormat) -> Column:
    """Return a column with the type of its values.

    Args:
        index: Index of the column.
        name: Its name, which may be empty; None if the file has no names.
        statistics: Statistics of its cells.
        number_format: Format of its numbers.
    """
    column = Column(index, name or "", "number", number_format=number_format, has_missing=statistics.missing_rows > 0)
    if reason := _find_useless(name, statistics):
        return replace(column, kind="ignored", reason=reason)
    if _has_numbers(statistics):
        has_dates = DATE_NAME_PATTERN.fullmatch(column.name) and all(
            map(COMPACT_DATE_PATTERN.fullmatch, statistics.sample)
        )
        return convert_column(column, "date" if has_dates else "number", statistics)
    if statistics.counts is not None and all(text.casefold() in BOOLEANS for text in statistics.counts):
        return replace(column, kind="boolean")
    if _find_date_format(statistics.sample):
        return convert_column(column, "date", statistics)
    if is_mostly_unique(statistics):
        is_text = statistics.words / max(1, statistics.text_rows) >= MIN_TEXT_WORDS
        return replace(column, kind="text") if is_text else replace(column, kind="ignored", reason="nearly unique")
    return convert_column(column, "category", statistics)


def _has_numbers(statistics: ColumnStatistics) -> bool:
    """Return whether the cells are numbers, apart from mistakes and markers of missing numbers."""
    if not statistics.text_rows or statistics.counts is None:
        return statistics.number_rows >= MIN_NUMBER_SHARE * statistics.present_rows
    if statistics.number_rows < MIN_MARKED_SHARE * statistics.present_rows:
        return False
    texts = [text for text in statistics.counts if not find_number_formats(text)]
    is_few = len(statistics.counts) <= MAX_CODES
    if statistics.number_rows >= MIN_NUMBER_SHARE * statistics.present_rows:
        has_codes = all(statistics.counts[text] >= MIN_CODE_ROWS and not is_missing(text) for text in texts)
        return not (is_few and has_codes)
    return len(texts) <= MAX_MARKERS and not is_few


def convert_column(column: Column, kind: ColumnKind, statistics: ColumnStatistics) -> Column:
    """Return a column as another type, with what that type needs.

    Args:
        column: The column.
        kind: Type of the values.
        statistics: Statistics of its cells.
    """
    column = replace(column, kind=kind, reason="")
    if kind == "category":
        return replace(column, categories=_list_categories(statistics))
    if kind == "date":
        return replace(column, date_format=_find_date_format(statistics.sample, numbers=True))
    return column


def _find_date_format(cells: Sequence[str], numbers: bool = False) -> DateFormat | None:
    """Return the format of all cells, or of nearly all if the others are mistakes; None if the cells are no dates."""
    if formats := find_date_formats(cells, numbers=numbers):
        return formats[0]
    cells = cells[:MAX_COMPARED_CELLS]
    counts = Counter(item for cell in cells for item in find_date_formats([cell]))
    for date_format, count in counts.most_common(1):
        if count >= MIN_NUMBER_SHARE * len(cells):
            return date_format
    return None


def choose_number_format(statistics: Iterable[ColumnStatistics]) -> list[NumberFormat]:
    """Return the format of the numbers of each column, with the decimal separator of the file if several fit.

    Args:
        statistics: Statistics of the columns.
    """
    columns = [item.formats if item.number_rows else {*FORMATS} for item in statistics]
    order = sort_formats(columns)
    return [next((item for item in order if item in formats), FORMATS[0]) for formats in columns]


def is_mostly_unique(statistics: ColumnStatistics) -> bool:
    """Return whether few values of a column occur more than once."""
    if statistics.counts is None:
        return True
    return len(statistics.counts) > max(MIN_IDENTIFIER_ROWS, statistics.present_rows / 2)


def _find_useless(name: str | None, statistics: ColumnStatistics) -> str:
    """Return why a column is no input, or "" if it is one."""
    if statistics.present_rows == 0:
        return "empty"
    if statistics.is_constant:
        return "constant"
    if statistics.number_rows and not statistics.text_rows and statistics.low == statistics.high:
        return "" if statistics.missing_rows else "different numbers, but equal as 64-bit floats"
    is_unique = statistics.counts is None or len(statistics.counts) == statistics.rows
    is_whole = statistics.number_rows == statistics.rows and statistics.is_whole
    if name == "" and is_whole and statistics.is_sequence:
        return "a row index"
    is_named = IDENTIFIER_NAME_PATTERN.fullmatch(name or "") or CAMEL_CASE_IDENTIFIER_PATTERN.fullmatch(name or "")
    if is_named and is_unique and (is_whole or not statistics.number_rows):
        return "an identifier"
    return ""


def _list_categories(statistics: ColumnStatistics) -> tuple[str, ...]:
    """Return the values of a category that occur at least twice, the most frequent first; all if there are few."""
    counts = statistics.counts or Counter()
    ordered = sorted(counts, key=lambda text: (-counts[text], text))
    if len(ordered) > MIN_IDENTIFIER_ROWS:
        ordered = [text for text in ordered if counts[text] > 1]
    return tuple(ordered[:MAX_CATEGORIES])


def restore_column(fields: Mapping[str, Any]) -> Column:
    """Return a column from its fields, as `dataclasses.asdict` or `list_column_fields` return them.

    Raises:
        UserError: If a field is unknown or invalid.
    """
    if not isinstance(fields, Mapping):
        raise UserError(f"data.columns: expected a type instead of {fields!r}: {', '.join(COLUMN_KINDS)}")
    known = {item.name for item in dataclass_fields(Column)}
    for name in fields:
        if name not in known:
            raise UserError(f"data.columns: unknown field '{name}'{did_you_mean(name, sorted(known))}")
    values = {"index": -1, "name": "", **fields}
    validate_kind(values.get("kind"))
    if values["kind"] == "date" and not values.get("date_format"):
        raise UserError(
            "data.columns: a date needs its date_format, unless only its type is set: data.columns.NAME=date"
        )
    try:
        values["number_format"] = NumberFormat(**values.get("number_format", {}))
        values["date_format"] = DateFormat(**values["date_format"]) if values.get("date_format") else None
        values["categories"] = tuple(map(str, values.get("categories", ())))
    except TypeError as error:
        raise UserError(f"data.columns: invalid fields {dict(fields)}: {error}") from error
    return Column(**values)


def validate_kind(kind: Any) -> None:
    """Raise an error if a type of column is unknown."""
    if kind not in COLUMN_KINDS:
        raise UserError(f"data.columns: unknown type '{kind}'{did_you_mean(str(kind), COLUMN_KINDS)}")


def list_column_fields(column: Column) -> dict[str, Any]:
    """Return index, name, type and the other fields of a column that differ from their defaults."""
    default = asdict(Column(column.index, column.name, "number"))
    fields = {name: value for name, value in asdict(column).items() if value != default[name]}
    if "categories" in fields:
        fields["categories"] = [*column.categories]
    return {"index": column.index, "name": column.name, "kind": column.kind, **fields}
