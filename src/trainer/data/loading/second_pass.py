"""Second pass over the training examples of an epoch."""

from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any

from trainer.data.loading.resumable_loader import ResumableLoader
from trainer.data.loading.tensor_loader import TensorLoader


def iter_second_pass(loader: Iterable[Any]) -> Iterator[Any]:
    """Yield the batches of the current epoch of a loader again; the next epoch is the same as without this pass.

    Args:
        loader: Training loader at the end of an epoch. One that is neither a `TensorLoader` nor a `ResumableLoader` is
            iterated as it is.
    """
    if isinstance(loader, TensorLoader):
        again = copy(loader)
        again.position = 0
        yield from again
    elif isinstance(loader, ResumableLoader):
        order = loader.order
        state = dict(vars(order))
        attributes = order.read_attributes()
        yield from loader
        order.restore_attributes(attributes)
        vars(order).update(state)
    else:
        yield from loader
