"""Files that may be compressed, opened as streams of their content."""

import bz2
import gzip
import lzma
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

from trainer.core.errors import UserError
from trainer.data.io.directory_walk import is_hidden

COMPRESSION_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")
MAGIC_BYTES = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\0": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
EXCEL_SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


def strip_compression(name: str) -> str:
    """Return a file name in lower case without the suffix of a compression: `a.csv` for `A.csv.gz`."""
    lower = name.lower()
    return next((lower.removesuffix(suffix) for suffix in COMPRESSION_SUFFIXES if lower.endswith(suffix)), lower)


def find_compression(path: Path) -> str:
    """Return the suffix of a file's compression, found from its first bytes; "" if it is not compressed.

    A zip archive is found from the name too, because Excel files are zip archives.
    """
    with path.open("rb") as stream:
        head = stream.read(6)
    if head.startswith(b"PK\x03\x04") and not path.name.lower().endswith(EXCEL_SUFFIXES):
        return ".zip"
    return next((suffix for magic, suffix in MAGIC_BYTES.items() if head.startswith(magic)), "")


@contextmanager
def open_content(path: Path) -> Iterator[IO[bytes]]:
    """Yield a binary stream of the decompressed content of a file.

    Raises:
        UserError: If the file cannot be read, is corrupted, or is a zip archive of several files.
    """
    try:
        with _open_stream(path, find_compression(path)) as stream:
            yield stream
    except (OSError, EOFError, zlib.error, lzma.LZMAError, BadZipFile) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UserError(f"{path}: cannot be read: {reason}") from error


@contextmanager
def regular_file(path: Path) -> Iterator[Path]:
    """Yield a path that can be read several times: the file, or a temporary copy of the content of a pipe."""
    if not path.is_fifo() and not path.is_char_device():
        yield path
        return
    with TemporaryDirectory() as directory:
        copy = Path(directory) / path.name
        with path.open("rb") as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield copy


@contextmanager
def _open_stream(path: Path, compression: str) -> Iterator[Any]:
    if compression == ".zip":
        with ZipFile(path) as archive, archive.open(_find_member(path, archive)) as stream:
            yield stream
    elif compression == ".zst":
        import pyarrow

        with pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd") as stream:
            yield stream
    else:
        openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
        with openers.get(compression, open)(path, "rb") as stream:
            yield stream


def _find_member(path: Path, archive: ZipFile) -> str:
    """Return the name of the only file in a zip archive."""
    names = [
        item.filename
        for item in archive.infolist()
        if not item.is_dir() and not any(is_hidden(part) for part in item.filename.split("/"))
    ]
    if len(names) != 1:
        listed = f": {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}" if names else ""
        raise UserError(f"{path}: a zip archive of {len(names)} files{listed}; unpack it, and set the path of one file")
    return names[0]
