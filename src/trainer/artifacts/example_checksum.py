"""Checksum of some examples of any `DataLoader`.

The examples are read in a forked process, so that neither random generators nor open files of this process change.
"""

import hashlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset

from trainer.core.compat import tree_leaves
from trainer.core.signals import block_sigint
from trainer.data.loading.epoch_sampler import seed_globally

MAX_EXAMPLES = 16  # of each data set
MAX_SECONDS = 1.0
MAX_DEPTH = 16  # of nested containers in an example


class ExampleError(Exception):
    """Example without a checksum."""


def hash_examples(loaders: Mapping[str, Any]) -> str | None:
    """Return the SHA-256 of the number of examples, and of evenly spaced examples, of each loader.

    Args:
        loaders: Loaders by stage; also containers of them.

    Returns:
        str | None: None if examples cannot be read by index or take longer than a second, if two reads of one differ,
            or if processes cannot be forked.
    """
    if sys.platform != "linux":
        return None
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_hash, args=(sender, loaders))
    with block_sigint(), warnings.catch_warnings(action="ignore"):  # about threads, which the process does not use
        process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(MAX_SECONDS) else None
    except EOFError:  # the process was killed
        return None
    finally:
        process.kill()
        process.join()
        receiver.close()


def _send_hash(sender: Connection, loaders: Mapping[str, Any]) -> None:
    """Send the hash, or None after an error."""
    torch.set_num_threads(1)  # the threads of the parent do not exist here
    digest = hashlib.sha256()
    try:
        for stage, part in loaders.items():
            for loader in tree_leaves(part):
                for text in _hash_dataset(loader):
                    digest.update(f"{stage} {text}".encode())
    except Exception:  # the user's code can raise anything, and the training shows it
        sender.send(None)
    else:
        sender.send(digest.hexdigest())


def _hash_dataset(loader: Any) -> Iterator[str]:
    """Yield the length of a data set, and the hashes of examples."""
    dataset = getattr(loader, "dataset", None)
    if dataset is None or isinstance(dataset, IterableDataset):
        raise ExampleError("no examples by index")
    length = len(dataset)
    yield str(length)
    for index in range(0, length, max(1, length // MAX_EXAMPLES))[:MAX_EXAMPLES]:
        first, second = (_hash_example(dataset, index) for _ in range(2))
        if first != second:
            raise ExampleError("the example depends on random numbers that have no global seed")
        yield first


def _hash_example(dataset: Any, index: int) -> str:
    seed_globally(0)
    digest = hashlib.sha256()
    for part in _dump(dataset[index]):
        digest.update(part)
    return digest.hexdigest()


def _dump(value: Any, depth: int = 0) -> Iterator[bytes]:
    """Yield the types and values of everything in an example as bytes.

    Raises:
        ExampleError: It contains an object without attributes, e.g. a function.
    """
    if depth > MAX_DEPTH:
        raise ExampleError("the example is nested too deeply")
    yield type(value).__qualname__.encode()
    if value is None or isinstance(value, bool | int | float | complex | str | np.generic):
        yield repr(value).encode()
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, torch.Tensor):
        yield f"{value.dtype} {tuple(value.shape)}".encode()
        yield value.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        yield f"{value.dtype} {value.shape}".encode()
        yield value.tobytes()
    else:
        for part in _list_parts(value):
            yield from _dump(part, depth + 1)


def _list_parts(value: Any) -> list[Any]:
    """Return the parts of a container or an object."""
    if isinstance(value, np.ndarray):
        return [value.shape, *value.flat]
    if hasattr(value, "__array_interface__"):  # e.g. an image of Pillow
        return [np.asarray(value)]
    if isinstance(value, Mapping):
        return [part for item in value.items() for part in item]
    if isinstance(value, list | tuple):
        return [*value]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    if callable(value) or not hasattr(value, "__dict__"):
        raise ExampleError(f"no checksum of {type(value).__name__}")
    return [part for item in sorted(vars(value).items()) for part in item]
