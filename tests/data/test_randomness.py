"""Randomness: a stream of its own for each purpose and each row of seeds, the same in every process."""

import torch

from trainer.data.randomness import generator_for


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
