"""Table of results as columns, which notebooks show, and which pandas can analyze further."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from trainer.core.errors import UserError, did_you_mean
from trainer.core.escaping import escape_control
from trainer.core.formatting import format_number

if TYPE_CHECKING:
    import pandas

MAX_SHOWN_ROWS = 10
MAX_SHOWN_COLUMNS = 12
OMISSION = "..."


class ResultTable(Mapping[str, list[Any]]):
    """Columns of equal length by name, e.g. `table["val/loss"]`; a missing value is None.

    Args:
        columns: Values of each column.
    """

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self._columns = {name: list(values) for name, values in columns.items()}

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> "ResultTable":
        """Return a table of rows; a value that a row does not have is None."""
        rows = list(rows)
        names = dict.fromkeys(name for row in rows for name in row)
        return cls({name: [row.get(name) for row in rows] for name in names})

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self._columns:
            raise KeyError(f"no column '{name}'{did_you_mean(str(name), [*self._columns])}")
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows, as dictionaries."""
        return [dict(zip(self._columns, row, strict=True)) for row in zip(*self._columns.values(), strict=True)]

    def to_frame(self) -> "pandas.DataFrame":
        """Return a data frame of pandas.

        Raises:
            UserError: pandas is not installed.
        """
        try:
            from pandas import DataFrame
        except ImportError:
            raise UserError(
                "to_frame: pandas is not installed; install it: pip install pandas\n"
                "  without it: table['COLUMN'] is a list, table.rows() is a list of dictionaries"
            ) from None
        return DataFrame(self._columns)

    def __repr__(self) -> str:
        """Return the first and the last rows as text."""
        header, *rows = self._shown_cells()
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in (header, *rows)]
        return "\n".join(["  ".join(line).rstrip() for line in lines]) if header else "(no columns)"

    def _repr_html_(self) -> str:
        """Return the first and the last rows as HTML."""
        header, *rows = self._shown_cells()
        names = "".join(f"<th>{escape(name)}</th>" for name in header)
        lines = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"

    def _shown_cells(self) -> list[list[str]]:
        """Return the column names and the first and last rows as text, without the columns in the middle."""
        columns = [[name, *map(_format_cell, values)] for name, values in self._columns.items()]
        columns = _omit_middle(columns, MAX_SHOWN_COLUMNS)
        header, *rows = [list(row) for row in zip(*columns, strict=True)] or [[]]
        return [header, *_omit_middle(rows, MAX_SHOWN_ROWS)]


def _omit_middle(lines: list[list[str]], max_lines: int) -> list[list[str]]:
    if len(lines) <= max_lines:
        return lines
    half = max_lines // 2
    return [*lines[:half], [OMISSION] * len(lines[0]), *lines[-half:]]


def _format_cell(value: Any) -> str:
    if value is None:
        return ""
    return format_number(value) if isinstance(value, float) else escape_control(str(value))
