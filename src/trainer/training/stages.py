"""Stages that a LightningModule and its data support."""

from typing import Any

from pytorch_lightning import LightningDataModule, LightningModule

from trainer.core.callback import has_hook


def find_test_obstacle(module: LightningModule, data: Any) -> str:
    """Return the reason why a module cannot be tested on some data, or "" if it can.

    Loaders of the module are not used, because there is a data module.
    """
    if not has_hook(module, "test_step", LightningModule):
        return f"{type(module).__name__} has no test_step"
    if not has_hook(data, "test_dataloader", LightningDataModule):
        return f"{type(data).__name__} has no test_dataloader"
    return ""
