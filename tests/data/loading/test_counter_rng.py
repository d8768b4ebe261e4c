"""Independent random streams for each purpose and sequence of seeds."""

import torch

from trainer.data.loading.counter_rng import BatchRNG, make_generator


def draws(*arguments):
    return torch.rand(9, generator=make_generator(*arguments)).tolist()


def test_a_generator_depends_on_every_one_of_its_seeds_and_on_their_order():
    seeds = [(), (1,), (2,), (1, 1), (1, 2), (2, 1), (1, 2, 3), (1, 3, 2), (3, 2, 1)]
    assert len({tuple(draws("order", *values)) for values in seeds}) == 9


def test_a_seed_of_zero_at_the_end_counts():
    assert len({tuple(draws("order", *values)) for values in [(5,), (5, 0), (5, 0, 0), (0,), (0, 0), ()]}) == 6


def test_different_purposes_have_different_numbers():
    assert len({tuple(draws(purpose, 5)) for purpose in ("order", "augment", "cut", "noise")}) == 4


def test_negative_seeds_are_valid():
    seeds = [(-1,), (1,), (-2,), (-1, 3), (3, -1), (-5,), (5,)]
    assert len({tuple(draws("cut", *values)) for values in seeds}) == 7


def test_the_same_purpose_and_seeds_give_the_same_numbers():
    assert draws("order", 1, -2) == draws("order", 1, -2)


def test_a_stream_is_the_same_in_every_process_and_version():
    assert make_generator("order", 5).initial_seed() == 2972448015703975500
    assert make_generator("order", 5, 0).initial_seed() == 2221877941807779233
    assert make_generator("order", -5).initial_seed() == 2041040060243658759


def test_the_global_random_state_is_not_changed():
    state = torch.get_rng_state()
    draws("order", 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_numbers_of_an_example_do_not_depend_on_the_batch():
    single = [BatchRNG(torch.tensor([row]), 5, 3).uniform(4) for row in range(6)]
    assert torch.equal(torch.cat(single), BatchRNG(torch.arange(6), 5, 3).uniform(4))
    batch_rng = BatchRNG(torch.arange(6), 5, 3)
    assert torch.equal(torch.cat([batch_rng.uniform(1), batch_rng.uniform(3)], 1), torch.cat(single))


def test_numbers_are_uniform_and_uncorrelated():
    numbers = (
        BatchRNG(torch.arange(20000), 1, 2).uniform(6).double()
    )  # a deviation of the mean: 0.29 / sqrt(20000) = 0.002
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert (numbers.mean(0) - 1 / 2).abs().max() < 0.01
    assert (numbers.var(0) - 1 / 12).abs().max() < 0.003
    table = torch.corrcoef(torch.cat([numbers[:-1], numbers[1:]], 1).T)  # of draws, and of neighbours
    assert (table - torch.eye(12)).abs().max() < 0.035
    counts = torch.histc(numbers.flatten().float(), 100, 0, 1)  # 1200 each, with a deviation of 35
    assert (counts - 1200).abs().max() < 160


def test_numbers_differ_between_seeds_and_epochs():
    seed_lists = [(1, 2), (2, 1), (1, 3), (0,)]
    assert len({tuple(BatchRNG(torch.arange(3), *seeds).uniform(2).flatten().tolist()) for seeds in seed_lists}) == 4


def test_numbers_are_the_same_in_every_process_and_version():
    first, second = BatchRNG(torch.tensor([0, 1]), 5, 0).uniform(2).tolist()
    assert first == [0.19828224182128906, 0.9848458766937256]
    assert second == [0.6858592629432678, 0.1597573161125183]
