"""Arrays in .npz, .npy and IDX files; pickled objects are never read."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from trainer.core.errors import UserError, did_you_mean
from trainer.data.io.arrays.idx_file import is_idx_file, read_idx, read_idx_header
from trainer.data.io.compressed_file import COMPRESSION_SUFFIXES, open_content

ARRAY_EXTENSIONS = (
    ".npz",
    *(name + compression for name in (".npy", "-ubyte", ".idx") for compression in ("", *COMPRESSION_SUFFIXES)),
)


@dataclass(frozen=True)
class ArrayFile:
    """An array in a file, of which only the header was read.

    Args:
        path: Path of the file.
        name: Name of the array in an .npz file, "" in other files.
        shape: Shape of the array.
        dtype: Type of its elements.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.path}, array '{self.name}'" if self.name else str(self.path)

    def read(self) -> NDArray[Any]:
        """Read the array.

        Raises:
            UserError: If the file is corrupted.
        """
        if not self.name and is_idx_file(self.path):
            return read_idx(self.path)
        try:
            if self.name:
                with np.load(self.path, allow_pickle=False) as arrays:
                    return np.asarray(arrays[self.name])
            with open_content(self.path) as stream:
                return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"{self}: cannot be read: {error}") from error


def list_arrays(path: Path) -> list[str]:
    """Return the names of the arrays in an .npz file; empty for other files."""
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def open_array(path: Path, names: Sequence[str], key: str) -> ArrayFile | None:
    """Return the first of some arrays that a file contains, or None; the only array of an .npy or IDX file.

    Args:
        path: Path of the file.
        names: Possible names of the array in an .npz file.
        key: Config key of the path, for messages.

    Raises:
        UserError: If the file does not exist, is not an array file, or contains Python objects.
    """
    if not path.is_file():
        raise UserError(f"{key}: no file '{path}'")
    available = list_arrays(path)
    name = next((name for name in names if name in available), "")
    if available and not name:
        return None
    try:
        shape, dtype = _read_header(path, name)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{key}: {path}: expected an .npz, .npy or IDX file: {error}") from error
    array = ArrayFile(path, name, shape, dtype)
    if dtype.hasobject:
        raise UserError(f"{key}: {array}: contains Python objects, which are not read; save numbers or text")
    return array


def make_missing_error(path: Path, names: Sequence[str], key: str) -> UserError:
    """Return the error that a file has none of some arrays."""
    available = list_arrays(path)
    return UserError(f"{key}: {path} has no array '{names[0]}'{did_you_mean(names[0], available)}")


def _read_header(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of an array in an .npz file, or of the only array of another file if the name is empty."""
    if name:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
            return _read_npy_header(stream)
    if is_idx_file(path):
        return read_idx_header(path)
    with open_content(path) as stream:
        return _read_npy_header(stream)


def _read_npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    return shape, dtype
