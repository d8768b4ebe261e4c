"""What our checkpoints hold beyond Lightning's, and which of them is the best."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint


class ConfigInCheckpoint(Callback):
    """Put the run's config into every checkpoint, so that it tells by itself what it is a checkpoint of.

    Args:
        config: Resolved, of plain containers only: `torch.load` then needs no pickle trust (`weights_only=True`).
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["config"] = self.config


def best(trainer: Trainer) -> tuple[str | None, dict[str, float]]:
    """The checkpoint that the monitored metric chose, after a training.

    Returns:
        str: Its path; None where none was kept.
        dict: That metric's value, named e.g. `val/accuracy_best`; empty where nothing was monitored.
    """
    keeper = trainer.checkpoint_callback
    if not isinstance(keeper, ModelCheckpoint):
        return None, {}
    score = {} if keeper.best_model_score is None else {f"{keeper.monitor}_best": float(keeper.best_model_score)}
    return keeper.best_model_path or None, score
