"""The order in which the examples of an epoch are read."""

import torch
from torch import Generator, Tensor

BYTES_AT_ONCE = {"cpu": 2**19, "cuda": 2**22}  # of stored inputs: an operation costs little then; a GPU is kept busy
POOL = 50  # batches among which examples of like length are put together: short ones then need not wait for long ones


def epoch_order(rows: int, batch: int, random: Generator | None, lengths: Tensor | None, repeats: int = 1) -> Tensor:
    """All rows, each `repeats` times, and between two times all others.

    Args:
        rows: How many there are.
        batch: Rows that are read at a time, all processes together.
        random: Shuffles the rows; without it they come as they stand.
        lengths: Of each row (rows,), where they differ. Batches are then made of rows of like length: unshuffled, of
            all rows sorted; shuffled, within pools of `POOL` batches, which are then read in random order.
        repeats: How often each row comes.
    """
    return torch.cat([_each_once(rows, batch, random, lengths) for _ in range(repeats)])


def batches_at_once(inputs: Tensor, batch_size: int, lengths: Tensor | None) -> int:
    """How many batches are made ready together, on the device that holds the inputs."""
    if lengths is not None:  # each is cut to its longest example
        return 1
    return max(1, BYTES_AT_ONCE[inputs.device.type] // max(1, batch_size * inputs[:1].numel() * inputs.element_size()))


def _each_once(rows: int, batch: int, random: Generator | None, lengths: Tensor | None) -> Tensor:
    order = torch.arange(rows) if random is None else torch.randperm(rows, generator=random)
    if lengths is None:
        return order
    if random is None:
        return lengths.argsort(stable=True)
    pools = torch.split(order, POOL * batch)
    like = torch.cat([pool[lengths[pool].argsort(stable=True)] for pool in pools])
    whole = rows // batch  # batches; a smaller last one stays the last
    shuffled = torch.randperm(whole, generator=random)
    return torch.cat([like[: whole * batch].view(whole, batch)[shuffled].flatten(), like[whole * batch :]])


def share(order: Tensor, rank: int, world_size: int, *, even: bool) -> Tensor:
    """What one of several processes reads: every `world_size`-th row, from the start again where all must read alike.

    Args:
        order: Of all rows.
        rank: Of the process.
        world_size: Number of processes.
        even: Whether all read equally many rows.
    """
    if world_size == 1:
        return order
    mine = shared(len(order), rank, world_size, even=even)
    return order[(rank + world_size * torch.arange(mine)) % len(order)]


def shared(rows: int, rank: int, world_size: int, *, even: bool) -> int:
    """How many of so many rows one of several processes reads: see `share`."""
    return -(-rows // world_size) if even else len(range(rank, rows, world_size))
