"""Seal: checkpoints that are whole or not there, and that say by themselves whether they are still what was written."""

import contextlib
import hashlib
import io
import os
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from trainer.errors import UserError

# the comment that a zip archive may end with; whatever reads archives passes it by
MARK, DIGITS = b"sha256:", 64
END = b"PK\x05\x06"  # of the archive, with 18 more bytes: the last two say how long the comment is


class Sealed(TorchCheckpointIO):
    """Writes a file beside and renames it, so that a crash leaves the one before; ends it with a SHA-256 of itself.

    The file is a checkpoint like any other: `torch.load` reads it, with `weights_only=True` too.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        if "://" in str(path):  # a store of objects, which has ways of its own
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_whole(Path(path), *sealed(buffer.getbuffer()))


def sealed(content: memoryview) -> tuple[memoryview, bytes]:
    """What `torch.save` has made, all but its last two bytes, and in their place the seal; without a copy."""
    assert bytes(content[-22:-18]) == END
    start, comment = content[:-2], (len(MARK) + DIGITS).to_bytes(2, "little") + MARK
    digest = hashlib.sha256(start)
    digest.update(comment)
    return start, comment + digest.hexdigest().encode()


def write_whole(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file, in parts, whole or not at all, and onto the disk: what was there before stays until then.

    Raises:
        UserError: The disk is full, or may not be written to; what was there before is untouched.
    """
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise UserError(
            f"cannot write '{path}': {error.strerror}\n  the files before it are whole;"
            " make room, then go on from the last one: trainer resume RUN"
        ) from error


def keep_as(path: Path, kept: Path) -> None:
    """Let `kept` be what `path` is now, without a copy; `path` itself is there at every moment."""
    link = kept.with_name(kept.name + ".part")
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
    except OSError:  # a file system without hard links
        path.replace(kept)
    else:
        link.replace(kept)


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint; None for one that is as it was written.

    One without a seal, as Lightning writes it, is read as a whole instead.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    ends = content[-len(MARK) - DIGITS : -DIGITS]
    if ends == MARK:
        right = hashlib.sha256(memoryview(content)[:-DIGITS]).hexdigest().encode() == content[-DIGITS:]
        return None if right else "its checksum is another one"
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, BadZipFile) as error:
        return f"it is cut off or changed ({type(error).__name__})"
    except Exception as error:  # whatever unpickling something foreign may raise
        return f"it cannot be loaded ({type(error).__name__})"
    return None


def _sync_folder(folder: Path) -> None:
    """The new name onto the disk as well."""
    with contextlib.suppress(OSError):  # not every file system can
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
