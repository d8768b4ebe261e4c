"""Reader of `metrics.csv`, the file of a run with all logged values."""

import csv
from pathlib import Path

from trainer.core.errors import UserError

INTEGER_COLUMNS = ("step", "epoch")


def read_logged_rows(file: Path) -> list[dict[str, float]]:
    """Return the filled cells of each row by column; no rows if the file is missing.

    Raises:
        UserError: The file is invalid, except for a last line that is not complete.
    """
    try:
        lines = file.read_text("utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read '{file}': {getattr(error, 'strerror', None) or 'no UTF-8 text'}") from None
    if lines and not lines[-1].endswith("\n"):  # the run is writing it, or was killed
        lines.pop()
    try:
        return [_parse_row(row) for row in csv.DictReader(lines)]
    except (ValueError, KeyError, TypeError, csv.Error):
        raise UserError(f"'{file}' is invalid: expected the column step and numbers in all others") from None


def _parse_row(row: dict[str, str]) -> dict[str, float]:
    integers = {name: int(row[name]) for name in INTEGER_COLUMNS if name == "step" or row.get(name)}
    return integers | {name: float(value) for name, value in row.items() if value and name not in integers}
