"""Files in the IDX format of MNIST, plain or compressed."""

from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from trainer.core.errors import UserError
from trainer.data.io.compressed_file import open_content

# big-endian types by the third byte of a file
DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def is_idx_file(path: Path) -> bool:
    """Return whether a file has the first bytes of an IDX file."""
    with open_content(path) as stream:
        start = stream.read(3)
    return len(start) == 3 and start[:2] == b"\0\0" and start[2] in DTYPES


def read_idx_header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of the array in a file.

    Raises:
        UserError: If the file cannot be read, or the header is invalid.
    """
    with open_content(path) as stream:
        return _parse_header(stream, path)


def read_idx(path: Path) -> NDArray[Any]:
    """Read a file: two zeros, type, number of axes, lengths of the axes, data.

    Raises:
        UserError: If the file cannot be read, or the header or the file size is invalid.
    """
    with open_content(path) as stream:
        shape, dtype = _parse_header(stream, path)
        content = stream.read()
    if len(content) != prod(shape) * dtype.itemsize:
        expected = prod(shape) * dtype.itemsize
        raise UserError(f"{path}: an IDX file of shape {shape} has {expected:,} bytes of data, found {len(content):,}")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _parse_header(stream: IO[bytes], path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in DTYPES:
        raise UserError(f"{path}: not an IDX file")
    lengths = stream.read(4 * start[3])
    if len(lengths) < 4 * start[3]:
        raise UserError(f"{path}: not an IDX file; its header is incomplete")
    return tuple(np.frombuffer(lengths, ">u4").tolist()), np.dtype(DTYPES[start[2]])
