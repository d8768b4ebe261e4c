"""Order of the examples in an epoch."""

import torch
from torch import Generator, Tensor

CHUNK_BYTES = {"cpu": 2**19, "cuda": 2**22}  # of stored inputs that are prepared together
POOL_BATCHES = 50  # batches per pool within which examples are sorted by length


def sample_epoch_indices(
    rows: int,
    batch: int,
    random: Generator | None,
    lengths: Tensor | None,
    repeats: int = 1,
    weights: Tensor | None = None,
) -> Tensor:
    """Return all row indices `repeats` times, one complete pass after the other; with weights, a sample of them.

    Args:
        rows: Number of rows.
        batch: Batch size of all processes together.
        random: Generator that shuffles the rows; None keeps their order.
        lengths: Length of each row (rows,), or None. Batches then contain rows of similar length: without shuffling,
            all rows are sorted; with shuffling, pools of `POOL_BATCHES` batches are sorted, and the batches shuffled.
        repeats: Number of passes.
        weights: Weight of each row (rows,), or None. A pass then consists of as many rows, drawn with probabilities
            proportional to the weights, with replacement.
    """
    if weights is not None:
        sample = torch.multinomial(weights, rows * repeats, replacement=True, generator=random)
        return sample if lengths is None or random is None else _group_by_length(sample, batch, random, lengths)
    if random is not None and lengths is None and repeats > 1:  # one call for all passes, of which some have few rows
        return torch.randint(2**62, (repeats, rows), generator=random).argsort(1).flatten()
    return torch.cat([_sample_pass(rows, batch, random, lengths) for _ in range(repeats)])


def compute_batches_per_chunk(inputs: Tensor, batch_size: int, lengths: Tensor | None) -> int:
    """Return the number of batches to prepare together, for few operations of sufficient size on the device."""
    if lengths is not None:  # each batch is cut to its longest example
        return 1
    return max(1, CHUNK_BYTES[inputs.device.type] // max(1, batch_size * inputs[:1].numel() * inputs.element_size()))


def _sample_pass(rows: int, batch: int, random: Generator | None, lengths: Tensor | None) -> Tensor:
    order = torch.arange(rows) if random is None else torch.randperm(rows, generator=random)
    if lengths is None:
        return order
    if random is None:
        return lengths.argsort(stable=True)
    return _group_by_length(order, batch, random, lengths)


def _group_by_length(order: Tensor, batch: int, random: Generator, lengths: Tensor) -> Tensor:
    """Sort pools of batches by length, and shuffle the batches."""
    pools = torch.split(order, POOL_BATCHES * batch)
    ordered = torch.cat([pool[lengths[pool].argsort(stable=True)] for pool in pools])
    full_batches = len(order) // batch  # a smaller last batch stays the last
    shuffled = torch.randperm(full_batches, generator=random)
    size = full_batches * batch
    return torch.cat([ordered[:size].view(full_batches, batch)[shuffled].flatten(), ordered[size:]])


def shard(order: Tensor, rank: int, world_size: int, *, even: bool) -> Tensor:
    """Return every `world_size`-th row, for one of several processes.

    Args:
        order: Row indices of all processes.
        rank: Rank of the process.
        world_size: Number of processes.
        even: Whether all processes read equally many rows; the first rows are then repeated at the end.
    """
    if world_size == 1:
        return order
    size = shard_size(len(order), rank, world_size, even=even)
    return order[(rank + world_size * torch.arange(size)) % len(order)]


def shard_size(rows: int, rank: int, world_size: int, *, even: bool) -> int:
    """Return the number of rows in the shard of a process; see `shard`."""
    return -(-rows // world_size) if even else len(range(rank, rows, world_size))
