"""Reviews: read in the order of their numbers, and cut so that neighbours stay together."""

from trainer.data.reviews import Reviews, cut_run, read_tree


def test_validation_is_a_run_of_neighbours_in_each_class():
    reviews = Reviews([f"{kind} {n}" for kind in ("bad", "good") for n in range(20)], [0] * 20 + [1] * 20)
    val, train = cut_run(reviews, 9, seed=0)
    for number, count in ((0, 4), (1, 5)):
        places = [int(text.split()[1]) for text, target in zip(*val, strict=True) if target == number]
        assert places == list(range(places[0], places[0] + count))
    assert sorted(val.texts + train.texts) == sorted(reviews.texts)
    assert cut_run(reviews, 9, seed=1)[0] != val


def test_files_are_read_in_the_order_of_their_numbers(tmp_path):
    for part in ("neg", "pos"):
        (tmp_path / part).mkdir()
        for number in range(12):
            (tmp_path / part / f"{number}_{number % 4 + 1}.txt").write_text(f"{part} {number}")
    assert read_tree(tmp_path, None).texts == [f"{part} {n}" for part in ("neg", "pos") for n in range(12)]
