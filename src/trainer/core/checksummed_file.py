"""PyTorch files with a SHA-256 trailer, which is verified on every load."""

import hashlib
import mmap
import pickle
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, is_zipfile

import torch

from trainer.core.errors import UserError, first_line

# the checksum is the comment at the end of the zip archive, which other readers ignore
CHECKSUM_PREFIX = b"sha256:"
CHECKSUM_DIGITS = 64
ZIP_END_SIGNATURE = b"PK\x05\x06"  # of the last 22 bytes of an archive without a comment


def append_checksum(content: memoryview) -> tuple[memoryview, bytes]:
    """Return an archive of `torch.save` without its last two bytes, and the bytes to write after it.

    The last two bytes contain the length of the comment. The archive is not copied.
    """
    assert bytes(content[-22:-18]) == ZIP_END_SIGNATURE
    archive = content[:-2]
    comment = (len(CHECKSUM_PREFIX) + CHECKSUM_DIGITS).to_bytes(2, "little") + CHECKSUM_PREFIX
    digest = hashlib.sha256(archive)
    digest.update(comment)
    return archive, comment + digest.hexdigest().encode()


def find_corruption(path: Path) -> str | None:
    """Return the reason why a PyTorch file is invalid, or None if it is valid.

    A file without a checksum trailer, as `torch.save` writes it, is verified by the CRC of its records.
    """
    try:
        if not path.stat().st_size:
            return "empty file"
        is_verified = False
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content[-len(CHECKSUM_PREFIX) - CHECKSUM_DIGITS : -CHECKSUM_DIGITS] == CHECKSUM_PREFIX:
                with memoryview(content) as view, view[:-CHECKSUM_DIGITS] as checked:
                    digest = hashlib.sha256(checked).hexdigest().encode()
                if digest != content[-CHECKSUM_DIGITS:]:
                    return "checksum mismatch"
                is_verified = True
        if is_zipfile(path):
            with ZipFile(path) as archive:
                if any(record.compress_type != ZIP_STORED for record in archive.infolist()):
                    return "compressed records, which PyTorch does not write"  # a small file could fill the memory
                if is_verified:
                    return None
                # PyTorch itself does not verify the CRC
                if record := archive.testzip():
                    return f"checksum mismatch in {record}"
                return "invalid checksum trailer" if archive.comment else None  # PyTorch writes no comment
        torch.load(path, map_location="cpu", weights_only=True)  # a file of PyTorch < 1.6, or a foreign file
    except BadZipFile as error:
        return f"truncated or modified: {first_line(error)}"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except Exception:  # a foreign file can raise anything in PyTorch
        return "not a PyTorch file, or truncated"
    return None


def load(path: Path, *, map_location: Any = "cpu", weights_only: bool = True) -> Any:
    """Verify and load a PyTorch file. All files with weights are loaded by this function.

    Args:
        path: PyTorch file.
        map_location: See `torch.load`.
        weights_only: See `torch.load`.

    Raises:
        UserError: The file is corrupted, is not a PyTorch file, or contains objects that may run code.
    """
    invalid = f"'{path}' is corrupted or not a checkpoint"
    if problem := find_corruption(path):
        raise UserError(f"{invalid} ({problem})")
    try:
        return torch.load(path, map_location=map_location, weights_only=weights_only)
    except pickle.UnpicklingError as error:
        raise UserError(f"'{path}' contains pickled objects, which weights_only loading does not allow") from error
    except (RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{invalid} ({first_line(error)})") from error
