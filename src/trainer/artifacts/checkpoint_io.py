"""Seal: checkpoints that are whole or not there, and that say by themselves whether they are still what was written."""

import contextlib
import io
import os
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.plugins.io import TorchCheckpointIO

from trainer.core.checksummed_file import load, sealed
from trainer.core.errors import UserError


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

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        """Load a checkpoint of Lightning's form.

        Raises:
            UserError: It is damaged, or of another form.
        """
        if "://" in str(path):
            return super().load_checkpoint(path, map_location, weights_only)
        content = load(Path(path), map_location=map_location, weights_only=weights_only is not False)
        if not isinstance(content, dict) or "state_dict" not in content:
            raise UserError(f"'{path}' has no state_dict; expected a checkpoint of Lightning")
        return content


def seal_checkpoints(trainer: Trainer) -> None:
    """Let a trainer save and load checkpoints by `Sealed`, if its strategy has no way of its own."""
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = Sealed()


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


def _sync_folder(folder: Path) -> None:
    """The new name onto the disk as well."""
    with contextlib.suppress(OSError):  # not every file system can
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
