"""Lightning CheckpointIO with atomic writes and a checksum in each file."""

import io
import os
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.plugins.io import TorchCheckpointIO

from trainer.core.atomic_write import atomic_path, atomic_write_bytes
from trainer.core.checksummed_file import append_checksum, load
from trainer.core.errors import UserError


class AtomicCheckpointIO(TorchCheckpointIO):
    """CheckpointIO that keeps the previous file after a crash and appends a SHA-256 to each file.

    `torch.load` can read the files, also with `weights_only=True`.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint and flush it to the disk.

        Raises:
            UserError: The disk is full or not writable; the previous file remains.
        """
        if "://" in str(path):  # object storage
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            atomic_write_bytes(Path(path), *append_checksum(buffer.getbuffer()))
        except OSError as error:
            hint = "earlier checkpoints are valid; free disk space, then: trainer resume RUN"
            raise UserError(f"cannot write '{path}': {error.strerror}\n  {hint}") from error

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        """Verify and load a Lightning checkpoint.

        Raises:
            UserError: The file is corrupted or not a Lightning checkpoint.
        """
        if "://" in str(path):
            return super().load_checkpoint(path, map_location, weights_only is not False)
        content = load(Path(path), map_location=map_location, weights_only=weights_only is not False)
        if not isinstance(content, dict) or "state_dict" not in content:
            raise UserError(f"'{path}' has no state_dict; expected a Lightning checkpoint")
        return content


def install_checkpoint_io(trainer: Trainer) -> None:
    """Make a trainer use `AtomicCheckpointIO`, unless its strategy has a special CheckpointIO."""
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = AtomicCheckpointIO()


def link_or_move(path: Path, target: Path) -> None:
    """Make `target` a hard link to `path`, or move `path` if the file system has no hard links."""
    try:
        with atomic_path(target) as link:
            link.unlink(missing_ok=True)
            os.link(path, link)
    except OSError:
        path.replace(target)
