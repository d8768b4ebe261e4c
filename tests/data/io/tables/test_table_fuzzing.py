"""Each cell and line of random tables in random dialects is read, or the defect is reported with its line."""

import gzip
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.core.errors import UserError
from trainer.data.io.tables import arrow_blocks, table_file
from trainer.data.io.tables.dialect_detection import DialectSettings, detect_dialect
from trainer.data.io.tables.table_file import iter_tables, read_table
from trainer.data.io.tables.table_rows import Dialect

pytest.importorskip("pyarrow", reason="tables need pyarrow")

ALPHABET = 'ab1 .-,;|\t"\n\r\x00\x1c\x85éß日\u3000\u2028😀'
TEXTS = st.text(ALPHABET, max_size=8)
SPECIAL_CELLS = ["", "NA", "?", "nan", "null", "it's", '5" pipe', 'say "a"', '""', '"', "#1", "sep=;", " x ", "1,5"]
CELLS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False).map(repr),
    st.sampled_from(SPECIAL_CELLS),
    TEXTS,
)


@dataclass
class Written:
    """A table, and how it is written."""

    rows: list[list[str]]
    header: bool
    delimiter: str
    line_end: str
    encoding: str
    has_all_quotes: bool
    blank: str  # after each delimiter
    blank_lines: int  # after each row
    titles: list[str]
    is_compressed: bool
    block_bytes: int

    @property
    def dialect(self):
        encoding = self.encoding.removesuffix("-sig")
        return Dialect(self.delimiter, '"', encoding, len(self.titles), self.header)

    def write_cell(self, cell):
        needs_quotes = any(c in f"{self.delimiter}\r\n" for c in cell) or cell.lstrip(" ").startswith('"')
        if not (needs_quotes or self.has_all_quotes):
            return cell  # quotes inside it are part of its text
        doubled = cell.replace('"', '""')
        return f'"{doubled}"'

    def write_row(self, row):
        return f"{self.delimiter}{self.blank}".join(map(self.write_cell, row)) + self.line_end

    def list_row_texts(self):
        return [self.write_row(row) + self.line_end * self.blank_lines for row in self.rows]

    def encode(self, texts):
        content = "".join([*(title + self.line_end for title in self.titles), *texts]).encode(self.encoding)
        return gzip.compress(content, 1) if self.is_compressed else content

    def find_lines(self):
        """Return the line on which each row ends."""
        start = len(self.titles)
        lines = []
        for row in self.rows:
            text = self.write_row(row)
            lines.append(start + count_lines(text))
            start += count_lines(text) + self.blank_lines
        return lines


def count_lines(text):
    return len(re.findall(r"\r\n|\r|\n", text))


@st.composite
def tables(draw, cells=CELLS):
    width = draw(st.integers(2, 4))
    rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=2, max_size=12))
    rows[0] = [f"n{index}" for index in range(width)]
    return Written(
        rows=rows,
        header=draw(st.booleans()),
        delimiter=draw(st.sampled_from([",", ";", "\t", "|", "§"])),
        line_end=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        encoding=draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"])),
        has_all_quotes=draw(st.booleans()),
        blank=draw(st.sampled_from(["", "", " "])),
        blank_lines=draw(st.sampled_from([0, 0, 1, 2])),
        titles=draw(st.sampled_from([[], ["# it's 5 o'clock"], ['A "title"', "", "1,2,3"]])),
        is_compressed=draw(st.booleans()),
        block_bytes=draw(st.sampled_from([32, 64, 300, 4096, 2**20])),
    )


@contextmanager
def opened(written, content):
    """Write a file, and yield its path, with small blocks."""
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow_blocks, "BLOCK_BYTES", written.block_bytes)
        patch.setattr(table_file, "BLOCK_ROWS", 3)
        path = arrow_blocks.Path(directory) / "a.csv"
        path.write_bytes(content)
        yield path


def check_valid(written):
    expected = [[cell.strip() for cell in row] for row in written.rows]
    lines = written.find_lines()
    filled = [index for index, row in enumerate(expected) if any(row)][written.header :]
    dialect = written.dialect
    with opened(written, written.encode(written.list_row_texts())) as path:
        if not filled:
            with pytest.raises(UserError, match=r"no rows"):
                read_table(path, dialect)
            return
        encoding = written.encoding if written.encoding == "gb18030" else None
        user = DialectSettings(written.delimiter, encoding, written.header, len(written.titles))
        assert detect_dialect(path, user) == dialect
        table = read_table(path, dialect)
        assert table.names == (tuple(expected[0]) if written.header else ())
        assert [*zip(*map(table.cells, range(table.width)), strict=True)] == [tuple(expected[row]) for row in filled]
        assert [table.find_line(row) for row in range(len(table))] == [lines[row] for row in filled]
        blocks = [*iter_tables(path, dialect, rows=2)]
        assert [cell for block in blocks for cell in block.cells(0)] == table.cells(0)
        assert [line for block in blocks for line in block.lines] == [lines[row] for row in filled]


def check_defect(written, defect, position):
    index = 1 + position % (len(written.rows) - 1)
    row = [f"v{column}" for column in range(len(written.rows[0]))]
    texts = replace(written, rows=[*written.rows[:index], row, *written.rows[index + 1 :]]).list_row_texts()
    valid = written.delimiter.join(row)
    texts[index] = {
        "a cell too few": written.delimiter.join(row[:-1]),
        "a cell too many": f"{valid}{written.delimiter}",
        "a quote that does not end": f'{written.delimiter.join(row[:-1])}{written.delimiter}"v',
        "a text after a quote": f'"v"x{written.delimiter}{written.delimiter.join(row[1:])}',
        "a text after a doubled quote": f'"v"""x{written.delimiter}{written.delimiter.join(row[1:])}',
    }[defect] + written.line_end
    if defect == "a quote that does not end":
        texts[index + 1 :] = [written.delimiter.join(row) + written.line_end for _ in texts[index + 1 :]]
    line = len(written.titles) + count_lines("".join(texts[:index])) + 1
    with opened(written, written.encode(texts)) as path:
        with pytest.raises(UserError) as error:
            read_table(path, written.dialect)
        assert f"{path}, line {line}: " in str(error.value)


DEFECTS = (
    "a cell too few",
    "a cell too many",
    "a quote that does not end",
    "a text after a quote",
    "a text after a doubled quote",
)
quick = settings(
    max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)


@quick
@given(tables())
def test_each_cell_and_line_is_read(written):
    check_valid(written)


@quick
@given(tables(), st.sampled_from(DEFECTS), st.integers(0, 100))
def test_a_defect_is_reported_with_its_line(written, defect, position):
    check_defect(written, defect, position)


@pytest.mark.slow
@settings(quick, max_examples=2000)
@given(tables())
def test_each_cell_and_line_of_many_tables_is_read(written):
    check_valid(written)


@pytest.mark.slow
@settings(quick, max_examples=2000)
@given(tables(), st.sampled_from(DEFECTS), st.integers(0, 100))
def test_defects_of_many_tables_are_reported_with_their_lines(written, defect, position):
    check_defect(written, defect, position)
