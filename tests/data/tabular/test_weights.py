"""Weights of the rows of a table."""

import pytest

from trainer.core.errors import UserError
from trainer.data.table import Table


def weighted(directory, weights):
    rows = [f"{n},{weight},{n % 2}" for n, weight in enumerate(weights)]
    (directory / "a.csv").write_text("\n".join(["x,importance,y", *rows]))
    data = Table(path=str(directory / "a.csv"), weight_column="importance", repeats=20, batch_size=10)
    data.setup("fit")
    return data


def test_rows_of_weight_0_are_not_drawn_and_weights_are_no_input(tmp_path):
    data = weighted(tmp_path, [0 if n % 3 else 2 for n in range(60)])
    assert data.spec.shape == (1,)
    standardized = {tuple(row) for inputs, _ in data.train_dataloader() for row in inputs.tolist()}
    train = data.splits["train"].inputs
    drawn = data.prepare(train[train[:, 0] % 3 == 0])
    assert standardized == {tuple(row) for row in drawn.tolist()}


def test_a_negative_weight_is_an_error_with_its_line(tmp_path):
    with pytest.raises(UserError, match=r"a\.csv, line 4, column 'importance': -1 is no weight; expected at least 0$"):
        weighted(tmp_path, [1, 1, -1, *[1] * 20])


def test_a_missing_weight_is_an_error_with_its_line(tmp_path):
    with pytest.raises(UserError, match=r"a\.csv, line 3, column 'importance' is missing; expected a weight"):
        weighted(tmp_path, [1, "", *[1] * 20])


def test_weights_that_are_all_0_are_an_error(tmp_path):
    with pytest.raises(UserError, match=r"^data\.weight_column: .*a\.csv: every training row has the weight 0$"):
        weighted(tmp_path, [0] * 60)
