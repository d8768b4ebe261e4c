"""Detection of delimiter, encoding, titles and header of a table from its first rows."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

from trainer.core.errors import UserError
from trainer.data.io.compressed_file import open_content
from trainer.data.io.tables.header_detection import has_header
from trainer.data.io.tables.number_format import parse_any_number
from trainer.data.io.tables.other_formats import refuse_other_content, refuse_other_format
from trainer.data.io.tables.table_rows import (
    DELIMITERS,
    WHITESPACE,
    Dialect,
    NamesMismatch,
    explain_encoding,
    get_reader_options,
    is_arrow,
    is_delimited,
    is_excel,
    is_json,
    iter_rows,
    open_text,
    split_aligned,
)
from trainer.data.io.text_encoding import detect_encoding, validate_encoding

SAMPLE_LINES = 1000
MAX_COMPARED_LINES = 50
MIN_ALIGNED_NUMBERS = 0.5  # fraction of the cells of aligned columns; the words of texts may be aligned by chance
MAX_SAMPLE_CHARACTERS = 2**20
EXCEL_DELIMITER_PATTERN = re.compile(r"sep=(.)[\r\n]*", re.IGNORECASE)  # a first line that sets the delimiter in Excel


@dataclass(frozen=True)
class DialectSettings:
    """Parts of a dialect that the user has set; None if they are to be detected."""

    delimiter: str | None = None
    encoding: str | None = None
    header: bool | None = None
    skipped_lines: int | None = None
    sheet: str = ""

    def __post_init__(self) -> None:
        if (self.skipped_lines or 0) < 0:
            raise UserError("data.skipped_lines: must be at least 0")


def refuse_unused_settings(path: Path, settings: DialectSettings) -> None:
    """Raise an error if a setting of the format has no effect on a file of this type.

    A file for predictions may be of another type than that of the training, and is not checked.
    """
    if settings.sheet and not is_excel(path):
        raise UserError(f"data.sheet: {path} is no Excel file; leave it out")
    unused: dict[str, object] = {}
    if not is_delimited(path):
        unused = {"delimiter": settings.delimiter, "encoding": settings.encoding}
    if is_json(path) or is_arrow(path):
        unused |= {"header": settings.header, "skipped_lines": settings.skipped_lines}
    for name, value in unused.items():
        if value is not None:
            raise UserError(f"data.{name}: {path} is no text with delimiters; leave it out")


def detect_dialect(
    path: Path, settings: DialectSettings = DialectSettings(), names: Sequence[str] = (), *, can_be_nested: bool = False
) -> Dialect:
    """Return the format of a table in its file.

    Args:
        path: The file.
        settings: Settings of the user.
        names: Column names that the user has set: a first row with one of them contains the column names.
        can_be_nested: See `Dialect`.

    Raises:
        UserError: If the file is empty or cannot be read, or a setting is invalid.
    """
    if is_arrow(path):
        return Dialect(can_be_nested=can_be_nested)
    dialect = Dialect(sheet=settings.sheet, can_be_nested=can_be_nested)
    if is_delimited(path):
        dialect = _detect_delimited(path, dialect, settings)
    sample = [*islice(iter_rows(path, replace(dialect, header=False)), SAMPLE_LINES)]
    if is_excel(path):
        skipped = settings.skipped_lines
        if skipped is None:
            skipped = _count_title_lines([(line - 1, cells) for line, cells in sample])
        dialect = replace(dialect, skipped_lines=skipped)
    rows = [cells for line, cells in sample if line > dialect.skipped_lines]
    if not rows:
        raise UserError(f"{path}: no rows: the file is empty")
    header = settings.header
    if header is None:
        header = is_json(path) or bool({*names} & {*rows[0]}) or has_header(rows)
    mismatch = _compare_names(rows) if header and is_delimited(path) else ""
    return replace(dialect, header=header, names_mismatch=mismatch)


def _compare_names(rows: Sequence[Sequence[str]]) -> NamesMismatch:
    """Return what the column names lack if all rows below them have the same number of cells, one more or less."""
    names, *others = rows
    widths = {len(cells) for cells in others}
    if widths == {len(names) + 1} and not any(cells[-1] for cells in others):
        return "no_last"
    if widths == {len(names) + 1} and 1 < len(others) == len({cells[0] for cells in others}):  # unique, as in R
        return "no_first"
    return "extra_last" if widths == {len(names) - 1} and not names[-1] else ""


def _detect_delimited(path: Path, dialect: Dialect, settings: DialectSettings) -> Dialect:
    encoding = settings.encoding
    if encoding is None:
        with open_content(path) as stream:
            refuse_other_content(path, stream)
        encoding = _detect_encoding(path)
    else:
        encoding = validate_encoding(encoding)
    lines = _read_sample(path, encoding)
    refuse_other_format(path, lines)
    delimiter = None if settings.delimiter is None else _validate_delimiter(settings.delimiter)
    skipped = settings.skipped_lines
    if skipped is None and lines and (match := EXCEL_DELIMITER_PATTERN.fullmatch(lines[0])):
        delimiter = delimiter or match[1]
        skipped = 1
    if delimiter is None:
        delimiter = _find_delimiter(lines[skipped or 0 :])
    if skipped is None:
        skipped = _count_title_lines(_split_lines(lines, delimiter))
    quote = _find_quote(lines[skipped:], delimiter)
    return replace(dialect, delimiter=delimiter, quote=quote, encoding=encoding, skipped_lines=skipped)


def _detect_encoding(path: Path) -> str:
    try:
        with open_content(path) as stream:
            return detect_encoding(stream)
    except UnicodeError as error:
        raise UserError(f"{path}: {error}; save it in UTF-8, or set data.encoding") from error


def _validate_delimiter(delimiter: str) -> str:
    delimiter = delimiter.replace("\\t", "\t")  # as typed in a shell
    if delimiter != WHITESPACE and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise UserError(f"data.delimiter: {delimiter!r} is not one character, nor '{WHITESPACE}'")
    return delimiter


def _read_sample(path: Path, encoding: str) -> list[str]:
    """Return the first lines, with their line ends."""
    try:
        with open_content(path) as stream, open_text(stream, encoding) as text:
            sample = io.StringIO(text.read(MAX_SAMPLE_CHARACTERS), newline="")
    except UnicodeError as error:
        raise UserError(explain_encoding(path, encoding, error)) from error
    return [*islice(sample, SAMPLE_LINES)]


def _find_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that splits most lines into the same number of cells, more than one; else a comma.

    If several delimiters fit equally well, the cells of the best one are most often numbers: `1,5;2,5` are two.
    """
    compared = lines[:MAX_COMPARED_LINES]
    scores: dict[str, float] = {}
    for delimiter in (*DELIMITERS, WHITESPACE):
        widths = Counter(len(cells) for _, cells in _split_lines(lines, delimiter) if any(cells))
        for width, count in widths.most_common(1):
            if width > 1:
                is_text = delimiter == WHITESPACE and _measure_numbers(compared, delimiter) < MIN_ALIGNED_NUMBERS
                scores[delimiter] = count / widths.total() - (0.1 if is_text else 0.0)
    best = [delimiter for delimiter, score in scores.items() if score == max(scores.values())]
    if len(best) < 2:
        return best[0] if best else ","
    return max(best, key=partial(_measure_numbers, compared))


def _measure_numbers(lines: Sequence[str], delimiter: str) -> float:
    """Return the fraction of the cells that are numbers."""
    cells = [cell for _, row in _split_lines(lines, delimiter) for cell in row]
    return sum(not math.isnan(parse_any_number(cell)) for cell in cells) / max(1, len(cells))


def _split_lines(lines: Sequence[str], delimiter: str) -> list[tuple[int, list[str]]]:
    """Return the number of lines before each row, and its cells without surrounding blanks."""
    if delimiter == WHITESPACE:
        return [(number, split_aligned(line)) for number, line in enumerate(lines)]
    reader = csv.reader(lines, **get_reader_options(delimiter))
    rows = []
    start = 0
    try:
        for row in reader:
            rows.append((start, [cell.strip() for cell in row]))
            start = reader.line_num
    except csv.Error:  # `iter_rows` raises a better one
        pass
    return rows


def _count_title_lines(rows: Sequence[tuple[int, list[str]]]) -> int:
    """Return the number of lines above the table: comments, and titles in one cell of a line.

    Args:
        rows: Number of lines before each row, and its cells.
    """
    counts = Counter(filled for _, cells in rows if (filled := sum(map(bool, cells))))
    usual = counts.most_common(1)[0][0] if counts else 0
    for start, cells in rows:
        filled = sum(map(bool, cells))
        is_comment = filled not in (0, usual) and cells[0].startswith("#")
        if filled and not is_comment and not (filled == 1 and usual > 2):
            return _find_names_below(rows, start, usual)
    return 0


def _find_names_below(rows: Sequence[tuple[int, list[str]]], start: int, usual: int) -> int:
    """Return the number of lines above the column names if the line at `start` has at most half of the cells.

    Titles such as `Source,World Bank` have several cells.
    """
    full = [(line, cells) for line, cells in rows if line >= start and sum(map(bool, cells)) == usual]
    above = [cells for line, cells in rows if start <= line < (full[0][0] if full else 0)]
    is_title = above and all(2 * sum(map(bool, cells)) <= usual and len(cells) < len(full[0][1]) for cells in above)
    return full[0][0] if is_title and has_header([cells for _, cells in full]) else start


def _find_quote(lines: Sequence[str], delimiter: str) -> str:
    """Return an apostrophe if all cells of a column are in apostrophes, else a quotation mark."""
    rows = [cells for _, cells in _split_lines(lines, delimiter) if any(cells)]
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    columns = zip(*(row for row in rows if len(row) == width), strict=True)
    has_apostrophes = any(
        sum(len(cell) > 1 and cell[0] == cell[-1] == "'" for cell in column) >= max(2, len(column) - 1)
        for column in columns
    )
    return "'" if has_apostrophes and delimiter != WHITESPACE else '"'
