"""Exact resume within an epoch for the `DataLoader`s of any data module.

The order of the examples depends only on (seed, epoch), and the random numbers of a worker process only on (seed,
epoch, batch). A resumed epoch starts at its next batch, without loading the earlier ones.
"""

from collections.abc import Callable
from copy import copy
from typing import Any

from pytorch_lightning import Trainer
from torch.utils.data import DataLoader, IterableDataset

from trainer.core.compat import set_sampler_epoch
from trainer.data.loading.epoch_sampler import EpochSampler, seeded


class ResumableLoader(DataLoader[Any]):
    """`DataLoader` with an `EpochSampler`, and with the state that Lightning stores in checkpoints.

    Attributes:
        order: The sampler.
        get_epoch: Returns the index of the current epoch.
    """

    order: EpochSampler
    get_epoch: Callable[[], int]

    def __iter__(self) -> Any:
        epoch = self.get_epoch()
        set_sampler_epoch(self, epoch)
        self.order.start_pass(epoch)
        with seeded(self.order.derive_seed("loader")):  # of the workers; their seed is drawn here
            iterator = super().__iter__()
        return self.order.count_batches(iterator)

    def state_dict(self) -> dict[str, Any]:
        """Return the position; plain numbers, so that a checkpoint loads under `weights_only`."""
        return self.order.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue at a position."""
        self.order.load_state_dict(state)


def install_resumable_loaders(trainer: Trainer, seed: int) -> None:
    """Make the training loaders of a run resumable within an epoch, if they are `DataLoader`s of indexed data sets.

    Args:
        trainer: Trainer before its training.
        seed: Seed of the order.
    """
    strategy: Any = trainer.strategy
    process_dataloader = strategy.process_dataloader

    def process_and_replace(loader: Any) -> Any:
        is_replaced = trainer.training and _is_positionable(loader)
        return process_dataloader(make_resumable(loader, trainer, seed) if is_replaced else loader)

    strategy.process_dataloader = process_and_replace


def make_resumable(loader: "DataLoader[Any]", trainer: Trainer, seed: int) -> ResumableLoader:
    """Return a copy of a loader that can be positioned; it is an instance of the same class."""
    cls = type(loader)
    resumable: Any = copy(loader)
    resumable.__class__ = type(cls.__name__, (ResumableLoader, cls), {"__module__": cls.__module__})
    resumable._iterator = None  # worker processes of the original
    resumable.order = EpochSampler(loader, seed=seed, rank=trainer.global_rank)
    resumable.get_epoch = lambda: trainer.current_epoch
    # not by assignment, which DataLoader forbids after its construction
    vars(resumable)["sampler" if loader.batch_sampler is None else "batch_sampler"] = resumable.order
    return resumable


def _is_positionable(loader: Any) -> bool:
    """Return whether a loader is a `DataLoader` of known length with PyTorch's own iteration over a sampler."""
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return False
    sampler = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
    is_plain = type(loader).__iter__ is DataLoader.__iter__ and not hasattr(loader, "state_dict")
    return is_plain and hasattr(sampler, "__len__")
