"""Files that are written completely or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_path(path: Path, suffix: str = ".part") -> Iterator[Path]:
    """Yield a temporary path next to `path`. The file there replaces `path` at the end, or is deleted after an error.

    Args:
        path: File to write or replace.
        suffix: Suffix of the temporary file; must be unique if several processes write the file.
    """
    partial = path.with_name(path.name + suffix)
    try:
        yield partial
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def atomic_write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
