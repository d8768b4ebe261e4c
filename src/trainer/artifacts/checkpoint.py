"""What our checkpoints hold beyond Lightning's."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer


class ConfigInCheckpoint(Callback):
    """Put the run's config into every checkpoint, so that it tells by itself what it is a checkpoint of.

    Args:
        config: Resolved, of plain containers only: `torch.load` then needs no pickle trust (`weights_only=True`).
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["config"] = self.config
