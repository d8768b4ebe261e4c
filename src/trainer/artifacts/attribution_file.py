"""Importances of columns or words in a CSV file of the run directory."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.core.atomic_write import atomic_write_text
from trainer.core.escaping import escape_csv_cell

FILENAME = "attribution.csv"


def write_attribution(directory: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write the importances of a run, the largest ones first; texts that a spreadsheet would run are escaped."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([map(escape_csv_cell, row) for row in (header, *rows)])
    atomic_write_text(directory / FILENAME, stream.getvalue())


def read_attribution(directory: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the file; both are empty if it is missing or invalid."""
    try:
        header, *rows = csv.reader(io.StringIO((directory / FILENAME).read_text("utf-8")))
    except (OSError, ValueError, csv.Error):
        return [], []
    return header, [row for row in rows if len(row) == len(header)]
