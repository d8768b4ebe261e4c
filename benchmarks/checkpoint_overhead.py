"""Callback that measures the time and the size of checkpoints of the trained network."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.plugins.io import TorchCheckpointIO

from trainer.callbacks.checkpoint import Checkpoint

REPEATS = 10  # of each kind of checkpoint
measurements: list[dict[str, tuple[float, int]]] = []  # seconds and bytes of each kind


class CheckpointTimer(Callback):
    """Writes our checkpoint, that of Lightning, and one of only the weights and the optimizer, in turn."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the checkpoints."""
        (checkpoint,) = (callback for callback in trainer.checkpoint_callbacks if isinstance(callback, Checkpoint))
        checkpoint_io = trainer.strategy.checkpoint_io
        directory = Path(trainer.default_root_dir)
        states = {"weights": pl_module.net.state_dict(), "optimizer": trainer.optimizers[0].state_dict()}

        def save_ours(path: Path) -> None:
            trainer.strategy.save_checkpoint(checkpoint._dump_checkpoint(trainer, "epoch", with_logs=True), path)

        def save_lightning(path: Path) -> None:
            trainer.strategy.checkpoint_io = TorchCheckpointIO()
            trainer.save_checkpoint(path)
            trainer.strategy.checkpoint_io = checkpoint_io

        kinds: dict[str, Callable[[Path], None]] = {
            "ours": save_ours,
            "Lightning": save_lightning,
            "plain": lambda path: torch.save(states, path),
        }
        for _ in range(REPEATS):
            measurements.append({})
            for name, save in kinds.items():
                path = directory / f"{name}.ckpt"
                start = time.perf_counter()
                save(path)
                measurements[-1][name] = (time.perf_counter() - start, path.stat().st_size)
