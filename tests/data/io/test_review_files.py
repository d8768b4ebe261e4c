"""Reading, splitting and deduplication of reviews."""

import pytest

from trainer.core.errors import UserError
from trainer.data.io.csv_file import read_csv
from trainer.data.io.review_files import Reviews, contiguous_split, drop_duplicates, parse_reviews, read_tree


def test_validation_is_a_contiguous_range_of_each_class():
    reviews = Reviews([f"{kind} {n}" for kind in ("bad", "good") for n in range(20)], [0] * 20 + [1] * 20)
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


def test_texts_with_two_labels_are_logged(caplog):
    reviews = Reviews(["good film", "bad film", "Good  film", "bad film"], [1, 0, 0, 0])
    assert drop_duplicates(reviews) == (["good film", "bad film"], [1, 0])
    assert "1 reviews repeat the text of another with another label; the first label is used" in caplog.text


def test_directories_that_are_not_classes_are_logged(tmp_path, caplog):
    for part in ("neg", "pos", "neutral"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "0_1.txt").write_text(f"a {part} film")
    assert read_tree(tmp_path, None) == (["a neg film", "a pos film"], [0, 1])
    assert f"{tmp_path}: skipped 1 directory 'neutral'" in caplog.text


def test_a_text_may_be_longer_than_the_cells_of_other_csv_files(tmp_path):
    rows = [f"{'word ' * 30_000}{number},{('neg', 'pos')[number % 2]}" for number in range(2)]
    (tmp_path / "long.csv").write_text("\n".join(["review,label", *rows]))
    file = read_csv(tmp_path / "long.csv", header=True, delimiter=",")
    assert [len(text) for text in parse_reviews(file, "review", "label", ["negative", "positive"]).texts] == [
        150_001
    ] * 2


def test_texts_and_labels_must_be_different_columns(tmp_path):
    (tmp_path / "a.csv").write_text("label,review\nneg,a film\npos,one more\n")
    file = read_csv(tmp_path / "a.csv", header=True, delimiter=",")
    with pytest.raises(UserError, match=r"^data.label_column: .*a.csv, column 'label' is data.text_column too$"):
        parse_reviews(file, 0, "label", ["negative", "positive"])
