"""Time series and tables from text."""

import pytest

from trainer.core.errors import UserError
from trainer.data.io.series.time_series import SeriesSettings, read_series
from trainer.data.io.tables.dialect_detection import DialectSettings, detect_dialect
from trainer.data.io.tables.table_file import read_table


@pytest.fixture
def read(tmp_path):
    """Return a function that writes lines to a file and reads its time series."""

    def write_and_read(lines, **settings):
        text = lines if isinstance(lines, str) else "\n".join(lines)
        (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        return read_series(tmp_path / "a.csv", SeriesSettings(**settings))

    return write_and_read


@pytest.fixture
def read_error(read, tmp_path):
    """Return a function that reads an invalid time series and returns the message of the error."""

    def read_message(lines, **settings):
        with pytest.raises(UserError) as error:
            read(lines, **{"is_positive": True} | settings)
        return str(error.value).replace(f"{tmp_path}/a.csv", "FILE")

    return read_message


@pytest.fixture
def read_cells(tmp_path):
    """Return a function that writes a file and reads its names and rows."""

    def write_and_read(content, name="a.csv", **settings):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path, detect_dialect(path, DialectSettings(**settings)))

    return write_and_read


@pytest.fixture
def read_cells_error(read_cells, tmp_path):
    """Return a function that reads an invalid file and returns the message of the error."""

    def read_message(content, name="a.csv", **settings):
        with pytest.raises(UserError) as error:
            read_cells(content, name, **settings)
        return str(error.value).replace(f"{tmp_path}/", "")

    return read_message
