"""The order of an epoch, with similar lengths together and split among processes."""

import pytest
import torch

from trainer.data.loading.counter_rng import make_generator
from trainer.data.loading.sampler import sample_epoch_indices, shard

LENGTHS = torch.randint(1, 500, (1003,), generator=torch.Generator().manual_seed(0))


def padding_fraction(order, batch):
    """Return the fraction of padding in batches that are as long as their longest row."""
    batches = [LENGTHS[rows] for rows in torch.split(order, batch)]
    return 1 - LENGTHS.sum().item() / sum(int(rows.max()) * len(rows) for rows in batches)


def test_every_row_comes_once_with_all_options():
    for random in (None, make_generator("order", 1)):
        for lengths in (None, LENGTHS):
            assert sample_epoch_indices(1003, 10, random, lengths).sort().values.tolist() == list(range(1003))


@pytest.mark.parametrize("lengths", [None, LENGTHS[:4]])
def test_each_of_several_passes_is_complete_and_has_its_own_order(lengths):
    passes = sample_epoch_indices(4, 2, make_generator("order", 1), lengths, repeats=960).view(960, 4)
    assert torch.equal(passes.sort(1).values, torch.arange(4).expand(960, 4))
    counts = passes.unique(dim=0, return_counts=True)[1]
    if lengths is None:  # each of the 24 orders is equally probable: 40 times on average, standard deviation 6.2
        assert len(counts) == 24
        assert counts.min() > 15
        assert counts.max() < 65
    unshuffled = sample_epoch_indices(4, 2, None, None, repeats=3)
    assert unshuffled.tolist() == [*range(4)] * 3


def test_rows_of_similar_length_are_read_together_in_random_order():
    shuffled = sample_epoch_indices(1003, 10, make_generator("order", 1), None)
    sorted_all = sample_epoch_indices(1003, 10, None, LENGTHS)
    pooled = sample_epoch_indices(1003, 10, make_generator("order", 1), LENGTHS)
    assert padding_fraction(shuffled, 10) > 0.4
    assert padding_fraction(sorted_all, 10) < 0.02
    assert padding_fraction(pooled, 10) < 0.08
    firsts = LENGTHS[pooled[:1000].view(100, 10)].float().mean(1)
    assert not torch.equal(firsts, firsts.sort().values)  # batches are not read from short to long
    assert not torch.equal(pooled, sample_epoch_indices(1003, 10, make_generator("order", 2), LENGTHS))


def test_a_smaller_last_batch_stays_the_last():
    pooled = sample_epoch_indices(1003, 10, make_generator("order", 3), LENGTHS)
    longest = [int(LENGTHS[rows].max()) - int(LENGTHS[rows].min()) for rows in torch.split(pooled, 10)]
    assert max(longest[:-1]) < 60  # no batch was cut across two; the last holds what is left over


def test_the_rows_are_split_among_processes():
    order = torch.tensor([4, 2, 0, 3, 1])
    assert shard(order, 0, 2, even=False).tolist() == [4, 0, 1]
    assert shard(order, 1, 2, even=False).tolist() == [2, 3]
    assert shard(order, 1, 2, even=True).tolist() == [2, 3, 4]  # from the start again


def test_rows_are_drawn_in_proportion_to_their_weights():
    weights = torch.tensor([1.0, 0.0, 3.0])
    order = sample_epoch_indices(3, 2, torch.Generator().manual_seed(0), None, 4000, weights)
    assert len(order) == 12_000
    counts = torch.bincount(order, minlength=3) / len(order)
    assert counts.tolist() == pytest.approx([0.25, 0.0, 0.75], abs=0.02)
    again = sample_epoch_indices(3, 2, torch.Generator().manual_seed(0), None, 4000, weights)
    assert torch.equal(order, again)


def test_drawn_rows_of_similar_length_are_read_together():
    weights = torch.ones(1003)
    plain = sample_epoch_indices(1003, 10, make_generator("order", 1), None, 1, weights)
    grouped = sample_epoch_indices(1003, 10, make_generator("order", 1), LENGTHS, 1, weights)
    assert torch.equal(plain.sort().values, grouped.sort().values)
    spread = [(LENGTHS[rows].max() - LENGTHS[rows].min()).item() for rows in torch.split(grouped, 10)]
    assert sum(spread[:-1]) / 100 < 40
