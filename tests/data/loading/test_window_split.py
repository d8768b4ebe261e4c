"""Splits of rows in the order of time, also of a cross-validation."""

import pytest

from trainer.core.errors import UserError
from trainer.data.loading.folds import Fold
from trainer.data.loading.window_split import cut_in_order, split_windows


@pytest.mark.parametrize(
    ("rows", "count", "blocks"),
    [
        # rows of the test in each fold, as `TimeSeriesSplit(n_splits=count).split` of scikit-learn 1.9 returns them
        (23, 4, [(7, 11), (11, 15), (15, 19), (19, 23)]),
        (10, 3, [(4, 6), (6, 8), (8, 10)]),
        (100, 2, [(34, 67), (67, 100)]),
    ],
)
def test_test_blocks_are_those_of_scikit_learn(rows, count, blocks):
    cuts = [cut_in_order(rows, (0.25, 0.2), Fold(number, count)) for number in range(count)]
    assert [(cut.test, cut.stop) for cut in cuts] == blocks
    assert [cut.val for cut in cuts] == [test - round(0.25 * test) for test, _ in blocks]  # the last earlier rows


@pytest.mark.parametrize("count", range(2, 8))
def test_blocks_follow_each_other_and_end_with_the_last_row(count):
    for rows in range(5 * count, 6 * count + 7):
        size = rows // (count + 1)  # the definition: equal blocks, and the remainder belongs to the first rows
        cuts = [cut_in_order(rows, (0.2, 0.2), Fold(number, count)) for number in range(count)]
        assert [cut.stop - cut.test for cut in cuts] == [size] * count
        assert [cut.stop for cut in cuts] == [*(cut.test for cut in cuts[1:]), rows]
        assert cuts[0].test == size + rows % (count + 1)


def test_without_folds_the_fractions_are_of_all_rows():
    assert cut_in_order(100, (0.1, 0.2), None) == (70, 80, 100)


@pytest.mark.parametrize("horizons", [(1,), (3,), (1, 3)])
@pytest.mark.parametrize("number", range(3))
def test_all_targets_of_a_window_are_in_the_rows_of_its_split(number, horizons):
    fold = Fold(number, 3)
    cut = cut_in_order(60, (0.25, 0.2), fold)
    parts = split_windows("a.csv", 60, (0.25, 0.2), 4, horizons, fold)
    targets = {stage: {row + horizon for row in rows for horizon in horizons} for stage, rows in parts.items()}
    assert targets["train"] == {*range(3 + min(horizons), cut.val)}
    assert targets["val"] == {*range(cut.val, cut.test)}
    assert targets["test"] == {*range(cut.test, cut.stop)}


def test_too_many_folds_are_an_error():
    with pytest.raises(UserError) as error:
        split_windows("a.csv", 40, (0.2, 0.2), 6, (1,), Fold(0, 7))
    assert str(error.value) == (
        "a.csv: 4 of its 40 rows are for training, but a window of 6 rows with data.horizon=1 needs 7; "
        "use a longer file, fewer folds or a shorter window"
    )
    with pytest.raises(UserError, match=r"5 of its 40 rows are for test, but .* needs 6; decrease data\.folds"):
        split_windows("a.csv", 40, (0.5, 0.2), 3, (1, 5), Fold(6, 7))
