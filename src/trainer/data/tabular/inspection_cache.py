"""Cache of inspections of large files, in files named after a hash of content and settings."""

import hashlib
import json
from dataclasses import asdict, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.io.cache import load_or_compute
from trainer.data.io.tables.table_rows import Dialect
from trainer.data.tabular.columns import list_column_fields, restore_column
from trainer.data.tabular.inspection import Inspection, InspectionSettings, inspect_file

MIN_CACHED_BYTES = 10 * 2**20  # a smaller file is inspected in less than a second
RULES = "2"  # change it with the rules of the inspection, so that results of older rules are not used


def inspect_with_cache(path: Path, settings: InspectionSettings, directory: Path) -> Inspection:
    """Return the inspection of a file; it is kept until the file changes, and that of a large file also on disk.

    Args:
        path: The file.
        settings: Settings of the user.
        directory: Directory of the cache.
    """
    status = path.stat()
    return _inspect(path, settings, directory, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _inspect(path: Path, settings: InspectionSettings, directory: Path, _mtime: int, size: int) -> Inspection:
    if size < MIN_CACHED_BYTES:
        return inspect_file(path, settings)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    key = hashlib.sha256(f"{RULES} {digest} {settings}".encode()).hexdigest()[:16]

    def compute() -> dict[str, Any]:
        text = json.dumps(_to_plain(inspect_file(path, settings)))
        return {"inspection": np.frombuffer(text.encode(), np.uint8)}

    arrays = load_or_compute(directory / f"table-{key}.npz", compute)
    return _from_plain(path, json.loads(arrays["inspection"].tobytes()))


def _to_plain(inspection: Inspection) -> dict[str, Any]:
    values = {field.name: getattr(inspection, field.name) for field in fields(Inspection) if field.name != "path"}
    columns = [list_column_fields(column) for column in inspection.columns]
    return {**values, "dialect": asdict(inspection.dialect), "columns": columns}


def _from_plain(path: Path, values: dict[str, Any]) -> Inspection:
    others: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    others["dialect"] = Dialect(**values["dialect"])
    others["columns"] = tuple(map(restore_column, values["columns"]))
    return Inspection(path=path, **others)
