"""Files in the IDX format of MNIST, plain or gzip."""

import gzip
import zlib
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.core.errors import UserError

# big-endian types by the third byte of a file
DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
BinaryStream = BufferedReader | gzip.GzipFile
GZIP_MAGIC = b"\x1f\x8b"


def is_idx_file(path: Path) -> bool:
    """Return whether a file has the first bytes of an IDX file."""
    with _open(path) as stream:
        start = stream.read(3)
    return len(start) == 3 and start[:2] == b"\0\0" and start[2] in DTYPES


def read_idx_header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of the array in a file.

    Raises:
        UserError: If the header is invalid.
    """
    try:
        with _open(path) as stream:
            return _parse_header(stream, path)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


def read_idx(path: Path) -> NDArray[Any]:
    """Read a file: two zeros, type, number of axes, lengths of the axes, data.

    Raises:
        UserError: If the header or the file size is invalid.
    """
    try:
        with _open(path) as stream:
            shape, dtype = _parse_header(stream, path)
            content = stream.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    if len(content) != prod(shape) * dtype.itemsize:
        expected = prod(shape) * dtype.itemsize
        raise UserError(f"{path}: an IDX file of shape {shape} has {expected:,} bytes of data, found {len(content):,}")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _open(path: Path) -> BinaryStream:
    with path.open("rb") as stream:
        is_packed = stream.read(2) == GZIP_MAGIC
    return gzip.open(path) if is_packed else path.open("rb")


def _parse_header(stream: BinaryStream, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in DTYPES:
        raise UserError(f"{path}: not an IDX file")
    lengths = stream.read(4 * start[3])
    if len(lengths) < 4 * start[3]:
        raise UserError(f"{path}: not an IDX file; its header is incomplete")
    return tuple(np.frombuffer(lengths, ">u4").tolist()), np.dtype(DTYPES[start[2]])
