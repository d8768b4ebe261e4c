"""On-disk cache of computed arrays, in files named after a hash of all inputs.

The files are stored in `.cache` in `data.dir`. The directory contains at most the `MAX_CACHE_FILES` last used files; it
may be deleted at any time, even while runs use it.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from trainer.core.atomic_write import atomic_path

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]

MAX_CACHE_FILES = 8  # 28 MB each for IMDB
STALE_PART_SECONDS = 24 * 3600.0  # age at which a partial file is assumed to be abandoned


def hash_strings(parts: Iterable[str]) -> str:
    """Return a hash of 16 hexadecimal digits over strings and their order."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode()
        digest.update(len(content).to_bytes(8))  # distinguishes ("ab", "c") from ("a", "bc")
        digest.update(content)
    return digest.hexdigest()[:16]


def load_or_compute(file: Path, compute: Callable[[], Arrays]) -> Arrays:
    """Return the arrays of a cache file; compute and store them if the file is missing or corrupted.

    Several processes may do so at the same time: each writes a temporary file and renames it. Afterwards, the least
    recently used files are deleted.

    Args:
        file: Path of an `.npz` file; its directory is created if needed, and contains nothing else.
        compute: Returns the arrays.
    """
    try:
        with file.open("rb") as stream, np.load(stream) as archive:  # checksums detect corruption; no pickles
            arrays = {name: archive[name] for name in archive.files}
        with suppress(OSError):  # read-only directory
            os.utime(file)  # last use
        return arrays
    except FileNotFoundError:
        pass
    except Exception as error:  # NumPy raises many types for a corrupted file
        log.warning("%s cannot be read and is computed again (%s)", file, error)
    arrays = compute()
    _store(file, arrays)
    return arrays


def _store(file: Path, arrays: Arrays) -> None:
    """Write a cache file if its directory is writable and the disk is not full."""
    try:
        file.parent.mkdir(exist_ok=True)
        with atomic_path(file, f".{uuid4().hex}.part") as partial, partial.open("wb") as output:
            np.savez(output, **arrays)  # type: ignore[arg-type]
        log.info("cached for the next run in %s, which may be deleted at any time", file.parent)
        _evict(file)
    except OSError as error:  # read-only directory or full disk
        log.info("%s is not cached for the next run (%s)", file, error)


def _evict(newest: Path) -> None:
    """Delete the least recently used files beyond `MAX_CACHE_FILES`, and abandoned partial files.

    Processes that have such a file open can still read it.
    """
    ages = {}
    for file in newest.parent.iterdir():
        with suppress(OSError):  # deleted by another process
            ages[file] = time.time() - file.stat().st_mtime
    others = sorted((file for file in ages if file.suffix == ".npz" and file != newest), key=ages.__getitem__)
    stale_parts = [file for file, age in ages.items() if file.suffix == ".part" and age > STALE_PART_SECONDS]
    for file in [*others[MAX_CACHE_FILES - 1 :], *stale_parts]:
        with suppress(OSError):
            file.unlink()
