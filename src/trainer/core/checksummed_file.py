"""Sealed files: files of PyTorch that end with a checksum of themselves, which is verified whenever one is loaded."""

import hashlib
import mmap
import pickle
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch

from trainer.core.errors import UserError, first_line

# the comment that a zip archive may end with; whatever reads archives passes it by
MARK, DIGITS = b"sha256:", 64
END = b"PK\x05\x06"  # of the archive, with 18 more bytes: the last two say how long the comment is


def sealed(content: memoryview) -> tuple[memoryview, bytes]:
    """What `torch.save` has made, all but its last two bytes, and in their place the seal; without a copy."""
    assert bytes(content[-22:-18]) == END
    start, comment = content[:-2], (len(MARK) + DIGITS).to_bytes(2, "little") + MARK
    digest = hashlib.sha256(start)
    digest.update(comment)
    return start, comment + digest.hexdigest().encode()


def damage(path: Path) -> str | None:
    """Return what is wrong with a file of PyTorch, or None if it is as it was written.

    A file without a seal, as `torch.save` writes it, is verified by the checksums of its records.
    """
    try:
        if not path.stat().st_size:
            return "it is empty"
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content[-len(MARK) - DIGITS : -DIGITS] == MARK:
                with memoryview(content) as whole, whole[:-DIGITS] as start:
                    digest = hashlib.sha256(start).hexdigest().encode()
                return None if digest == content[-DIGITS:] else "its checksum is another one"
        if is_zipfile(path):
            with ZipFile(path) as records:  # PyTorch does not look at their checksums
                changed, seal = records.testzip(), records.comment
            if changed:
                return f"{changed} is not what was written"
            return "its seal is not readable" if seal else None  # PyTorch itself writes none
        torch.load(path, map_location="cpu", weights_only=True)  # of a version before 1.6, or none of PyTorch's
    except BadZipFile as error:
        return f"it is cut off or changed: {first_line(error)}"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    except Exception as error:  # whatever a foreign or damaged file makes PyTorch raise
        return f"it is no file of PyTorch, or cut off ({type(error).__name__})"
    return None


def load(path: Path, *, map_location: Any = "cpu", weights_only: bool = True) -> Any:
    """Load a file of PyTorch after it was verified; all files with weights are loaded by this function.

    Args:
        path: Of the file.
        map_location: See `torch.load`.
        weights_only: See `torch.load`.

    Raises:
        UserError: It is damaged, no file of PyTorch, or contains objects that may run code.
    """
    unusable = f"'{path}' is damaged, or no checkpoint at all"
    if problem := damage(path):
        raise UserError(f"{unusable} ({problem})")
    try:
        return torch.load(path, map_location=map_location, weights_only=weights_only)
    except pickle.UnpicklingError as error:
        raise UserError(f"'{path}' holds more than numbers and names, and loading these could run code") from error
    except (RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{unusable} ({first_line(error)})") from error
