"""Restoration of PyTorch's loader classes, which Lightning patches while it calls the user's `train_dataloader`."""

from lightning_utilities.core.inheritance import get_all_subclasses
from torch.utils.data import BatchSampler, DataLoader

PATCHED_METHODS = ("__init__", "__setattr__", "__delattr__")


def restore_loader_classes() -> None:
    """Undo the patches if Lightning did not (2.6), because the code of the user has raised an exception.

    Otherwise loaders of later runs in this process cannot be created again with another sampler.
    """
    for base in (DataLoader, BatchSampler):
        for cls in (base, *get_all_subclasses(base)):
            for name in PATCHED_METHODS:
                if (original := f"__old{name}") in vars(cls):
                    setattr(cls, name, vars(cls)[original])
                    delattr(cls, original)
