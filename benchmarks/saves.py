"""A callback that writes checkpoints of the trained network, and notes how long each kind takes and how large it is."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.plugins.io import TorchCheckpointIO

from trainer.callbacks.checkpoint import Checkpoint

TIMES = 10  # that each kind of checkpoint is written, in turn
saved: list[dict[str, tuple[float, int]]] = []  # seconds and bytes of each kind


class Saves(Callback):
    """Ours (all states that a run goes on from), Lightning's of the same training, and bare weights and optimizer."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write them, in turn."""
        (ours,) = (each for each in trainer.checkpoint_callbacks if isinstance(each, Checkpoint))
        sealed, folder = trainer.strategy.checkpoint_io, Path(trainer.default_root_dir)
        bare = {"weights": pl_module.net.state_dict(), "optimizer": trainer.optimizers[0].state_dict()}

        def as_ours(path: Path) -> None:
            trainer.strategy.save_checkpoint(ours._checkpoint(trainer, "epoch", with_logs=True), path)

        def as_lightning(path: Path) -> None:
            trainer.strategy.checkpoint_io = TorchCheckpointIO()
            trainer.save_checkpoint(path)
            trainer.strategy.checkpoint_io = sealed

        kinds: dict[str, Callable[[Path], None]] = {
            "ours": as_ours,
            "Lightning": as_lightning,
            "plain": lambda path: torch.save(bare, path),
        }
        for _ in range(TIMES):
            saved.append({})
            for name, save in kinds.items():
                path, began = folder / f"{name}.ckpt", time.perf_counter()
                save(path)
                saved[-1][name] = time.perf_counter() - began, path.stat().st_size
