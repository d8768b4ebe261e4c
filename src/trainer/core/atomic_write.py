"""Files that are written completely or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_path(path: Path, suffix: str = ".part") -> Iterator[Path]:
    """Yield a temporary path next to `path`. The file there replaces `path` at the end, or is deleted after an error.

    A link is replaced, too: the file that it points to is not changed.

    Args:
        path: File to write or replace.
        suffix: Suffix of the temporary file; must be unique if several processes write the file.
    """
    partial = path.with_name(path.name + suffix)
    partial.unlink(missing_ok=True)  # may be a link
    try:
        yield partial
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def atomic_write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 and flush it to the disk."""
    atomic_write_bytes(path, text.encode())


def atomic_write_bytes(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file from parts and flush it to the disk; until then the previous file remains."""
    with atomic_path(path) as partial, partial.open("wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
    _fsync_directory(path.parent)


def _fsync_directory(directory: Path) -> None:
    with suppress(OSError):  # not supported by every file system
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
