"""The order of an epoch: every row once, of like length together where lengths differ, shared among processes."""

import torch

from trainer.data.loading.counter_rng import generator_for
from trainer.data.loading.sampler import epoch_order, share

LENGTHS = torch.randint(1, 500, (1003,), generator=torch.Generator().manual_seed(0))


def waste(order, batch):
    """Share of the places in batches, each as long as its longest row, that only fill up."""
    batches = [LENGTHS[rows] for rows in torch.split(order, batch)]
    return 1 - LENGTHS.sum().item() / sum(int(rows.max()) * len(rows) for rows in batches)


def test_every_row_comes_once_whatever_is_asked():
    for random in (None, generator_for("order", 1)):
        for lengths in (None, LENGTHS):
            assert epoch_order(1003, 10, random, lengths).sort().values.tolist() == list(range(1003))


def test_rows_of_like_length_are_read_together_and_still_in_random_order():
    plain = epoch_order(1003, 10, generator_for("order", 1), None)
    sorted_all = epoch_order(1003, 10, None, LENGTHS)
    pooled = epoch_order(1003, 10, generator_for("order", 1), LENGTHS)
    assert waste(plain, 10) > 0.4
    assert waste(sorted_all, 10) < 0.02
    assert waste(pooled, 10) < 0.08
    firsts = LENGTHS[pooled[:1000].view(100, 10)].float().mean(1)
    assert not torch.equal(firsts, firsts.sort().values)  # batches are not read from short to long
    assert not torch.equal(pooled, epoch_order(1003, 10, generator_for("order", 2), LENGTHS))


def test_a_smaller_last_batch_stays_the_last():
    pooled = epoch_order(1003, 10, generator_for("order", 3), LENGTHS)
    longest = [int(LENGTHS[rows].max()) - int(LENGTHS[rows].min()) for rows in torch.split(pooled, 10)]
    assert max(longest[:-1]) < 60  # no batch was cut across two; the last holds what is left over


def test_processes_share_the_rows():
    order = torch.tensor([4, 2, 0, 3, 1])
    assert share(order, 0, 2, even=False).tolist() == [4, 0, 1]
    assert share(order, 1, 2, even=False).tolist() == [2, 3]
    assert share(order, 1, 2, even=True).tolist() == [2, 3, 4]  # from the start again
