"""Randomness: a stream of its own for each purpose and each row of seeds, the same in every process."""

import torch

from trainer.data.loading.counter_rng import Draws, generator_for


def draws(*how):
    return torch.rand(9, generator=generator_for(*how)).tolist()


def test_a_generator_depends_on_every_one_of_its_seeds_and_on_their_order():
    seeds = [(), (1,), (2,), (1, 1), (1, 2), (2, 1), (1, 2, 3), (1, 3, 2), (3, 2, 1)]
    assert len({tuple(draws("order", *some)) for some in seeds}) == 9


def test_a_seed_of_zero_at_the_end_counts():
    assert len({tuple(draws("order", *some)) for some in [(5,), (5, 0), (5, 0, 0), (0,), (0, 0), ()]}) == 6


def test_two_purposes_have_nothing_in_common():
    assert len({tuple(draws(purpose, 5)) for purpose in ("order", "augment", "cut", "noise")}) == 4


def test_negative_seeds_are_seeds_like_others():
    seeds = [(-1,), (1,), (-2,), (-1, 3), (3, -1), (-5,), (5,)]
    assert len({tuple(draws("cut", *some)) for some in seeds}) == 7


def test_the_same_purpose_and_seeds_give_the_same_numbers():
    assert draws("order", 1, -2) == draws("order", 1, -2)


def test_a_stream_is_the_same_in_every_process_and_version():
    assert generator_for("order", 5).initial_seed() == 2972448015703975500
    assert generator_for("order", 5, 0).initial_seed() == 2221877941807779233
    assert generator_for("order", -5).initial_seed() == 2041040060243658759


def test_torchs_global_random_state_is_left_alone():
    state = torch.get_rng_state()
    draws("order", 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_each_example_draws_the_same_numbers_in_any_company():
    alone = [Draws(torch.tensor([row]), 5, 3).uniform(4) for row in range(6)]
    assert torch.equal(torch.cat(alone), Draws(torch.arange(6), 5, 3).uniform(4))
    parts = Draws(torch.arange(6), 5, 3)
    assert torch.equal(torch.cat([parts.uniform(1), parts.uniform(3)], 1), torch.cat(alone))


def test_draws_are_spread_evenly_and_hang_together_with_nothing():
    numbers = (
        Draws(torch.arange(20000), 1, 2).uniform(6).double()
    )  # a deviation of the mean: 0.29 / sqrt(20000) = 0.002
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert (numbers.mean(0) - 1 / 2).abs().max() < 0.01
    assert (numbers.var(0) - 1 / 12).abs().max() < 0.003
    table = torch.corrcoef(torch.cat([numbers[:-1], numbers[1:]], 1).T)  # of draws, and of neighbours
    assert (table - torch.eye(12)).abs().max() < 0.035
    counts = torch.histc(numbers.flatten().float(), 100, 0, 1)  # 1200 each, with a deviation of 35
    assert (counts - 1200).abs().max() < 160


def test_draws_differ_between_seeds_and_epochs():
    kinds = [(1, 2), (2, 1), (1, 3), (0,)]
    assert len({tuple(Draws(torch.arange(3), *seeds).uniform(2).flatten().tolist()) for seeds in kinds}) == 4


def test_draws_are_the_same_in_every_process_and_version():
    first, second = Draws(torch.tensor([0, 1]), 5, 0).uniform(2).tolist()
    assert first == [0.19828224182128906, 0.9848458766937256]
    assert second == [0.6858592629432678, 0.1597573161125183]
