"""Reading and splitting of film reviews."""

from trainer.data.io.texts.labeled_texts import LabeledTexts
from trainer.data.io.texts.review_files import contiguous_split, read_tree


def test_validation_is_a_contiguous_range_of_each_class():
    reviews = LabeledTexts([f"{kind} {n}" for kind in ("bad", "good") for n in range(20)], [0] * 20 + [1] * 20)
    val, train = contiguous_split(reviews, 9, seed=0)
    for number, count in ((0, 4), (1, 5)):
        numbers = [int(text.split()[1]) for text, target in zip(*val, strict=True) if target == number]
        assert numbers == list(range(numbers[0], numbers[0] + count))
    assert sorted(val.texts + train.texts) == sorted(reviews.texts)
    assert contiguous_split(reviews, 9, seed=1)[0] != val


def test_files_are_read_in_the_order_of_their_numbers(tmp_path):
    for part in ("neg", "pos"):
        (tmp_path / part).mkdir()
        for number in range(12):
            (tmp_path / part / f"{number}_{number % 4 + 1}.txt").write_text(f"{part} {number}")
    assert read_tree(tmp_path, None).texts == [f"{part} {n}" for part in ("neg", "pos") for n in range(12)]


def test_directories_that_are_not_classes_are_logged(tmp_path, caplog):
    for part in ("neg", "pos", "neutral"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "0_1.txt").write_text(f"a {part} film")
    assert read_tree(tmp_path, None) == (["a neg film", "a pos film"], [0, 1])
    assert f"{tmp_path}: skipped 1 directory 'neutral'" in caplog.text
