"""A cache: arrays that take long to make are made once, and lie in a file named after all that decides them.

The files lie in `.cache` below `data.dir`. A folder holds at most `KEPT` of them, those used last; it may be deleted
at any time, even while runs use it.
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

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]

KEPT = 8  # files; of IMDB 28 MB each
ABANDONED = 24 * 3600.0  # seconds after which nobody is still writing a file


def digest(parts: Iterable[str]) -> str:
    """16 hexadecimal digits that are equal only for equal parts in equal order."""
    whole = hashlib.sha256()
    for part in parts:
        content = part.encode()
        whole.update(len(content).to_bytes(8))  # so that ("ab", "c") is not ("a", "bc")
        whole.update(content)
    return whole.hexdigest()[:16]


def made_once(file: Path, make: Callable[[], Arrays]) -> Arrays:
    """The arrays in a file; where it is missing or damaged they are made, and written there if that is possible.

    Processes may do so at the same time: each writes a file of its own, and the last one to be done leaves it. Of the
    other files of the folder those go that were not used for longest.

    Args:
        file: A `.npz`; its folder, which holds nothing else, is created, but not what that lies in.
        make: Makes the arrays.
    """
    try:
        with file.open("rb") as stream, np.load(stream) as held:  # its checksums tell damage; it takes no pickle
            arrays = {name: held[name] for name in held.files}
        with suppress(OSError):  # a read-only folder
            os.utime(file)  # it was used now
        return arrays
    except FileNotFoundError:
        pass
    except Exception as error:  # whatever a damaged file makes NumPy raise
        log.warning("%s cannot be read and is made anew (%s)", file, error)
    arrays = make()
    fresh = file.with_name(f"{file.name}.{uuid4().hex}.part")
    try:
        file.parent.mkdir(exist_ok=True)
        with fresh.open("wb") as out:
            np.savez(out, **arrays)  # type: ignore[arg-type]
        os.replace(fresh, file)
        log.info("kept for the next run in %s, which may be deleted at any time", file.parent)
        _drop(file)
    except OSError as error:  # a read-only folder, a full disk: then it is made at each run
        log.info("%s is not kept for the next run (%s)", file, error)
    finally:
        with suppress(OSError):  # the folder cannot be used at all
            fresh.unlink(missing_ok=True)
    return arrays


def _drop(newest: Path) -> None:
    """Delete what was not used for longest beyond `KEPT`, and what a process that was killed has left half written.

    A process that still reads such a file reads it to its end; one that deletes at the same time does no harm.
    """
    ages = {}
    for file in newest.parent.iterdir():
        with suppress(OSError):  # it is gone already
            ages[file] = time.time() - file.stat().st_mtime
    others = sorted((file for file in ages if file.suffix == ".npz" and file != newest), key=ages.__getitem__)
    half_written = [file for file, age in ages.items() if file.suffix == ".part" and age > ABANDONED]
    for file in [*others[KEPT - 1 :], *half_written]:
        with suppress(OSError):
            file.unlink()
