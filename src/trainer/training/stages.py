"""Stages that a LightningModule and its data support."""

from typing import Any

from pytorch_lightning import LightningModule
from pytorch_lightning.core.hooks import DataHooks
from pytorch_lightning.utilities.model_helpers import is_overridden


def find_test_obstacle(module: LightningModule, data: Any) -> str:
    """Return the reason why a module cannot be tested on some data, or "" if it can.

    Loaders of the module are not used, because there is a data module.
    """
    if not is_overridden("test_step", module, LightningModule):
        return f"{type(module).__name__} has no test_step"
    if not is_overridden("test_dataloader", data, DataHooks):
        return f"{type(data).__name__} has no test_dataloader"
    return ""
