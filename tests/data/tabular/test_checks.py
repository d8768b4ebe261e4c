"""Columns that reveal the target, and numbers that a network cannot use."""

import pytest
import torch

from trainer.data.io.tables.date_format import DateFormat
from trainer.data.preprocessing.tabular import make_preprocessing
from trainer.data.tabular.checks import find_leak
from trainer.data.tabular.columns import Column

ROWS = 100
CLASSES = torch.arange(ROWS) % 3
VALUES = torch.arange(ROWS, dtype=torch.float64)[:, None] ** 2
NOISE = torch.randn(ROWS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def find(values, targets, kind="number", name="x"):
    column = Column(1, name, kind, categories=("a", "b", "c") if kind == "category" else ())
    preprocessing = make_preprocessing([Column(0, "noise", "number"), column], width=3)
    return find_leak(torch.stack([NOISE[: len(values)], values.double()], 1), targets, preprocessing)


@pytest.mark.parametrize(
    "values",
    [
        CLASSES,
        -2.5 * CLASSES,
        CLASSES * 100 + torch.arange(ROWS) / ROWS,  # each class has a range
        (CLASSES == 1).long() * 7 + (CLASSES == 2).long() * 3,
        torch.where(CLASSES == 2, torch.nan, CLASSES),  # missing in one class only
        CLASSES + 3 * (torch.arange(ROWS) // 50),  # several values per class
    ],
)
def test_a_number_with_one_class_per_value_is_a_leak(values):
    assert find(values, CLASSES) == "x"


def test_a_category_with_one_class_per_value_is_a_leak():
    assert find((CLASSES + 1) % 3, CLASSES, "category") == "x"
    assert find(CLASSES % 2, CLASSES % 2, "boolean", name="") == "1 (counted from 0)"


@pytest.mark.parametrize(
    "values",
    [
        NOISE,
        torch.where(torch.arange(ROWS) == 6, 2 - CLASSES, CLASSES),  # one exception
        torch.arange(ROWS),  # different values, by chance of one class each
        torch.zeros(ROWS),
        torch.full((ROWS,), torch.nan),
    ],
)
def test_other_numbers_are_no_leak(values):
    assert find(values, CLASSES) is None


def test_a_value_that_is_proportional_to_the_target_is_a_leak():
    assert find(3 - 2 * VALUES[:, 0], VALUES) == "x"
    assert find(torch.where(torch.arange(ROWS) % 5 == 0, torch.nan, VALUES[:, 0]), VALUES) == "x"
    assert find(VALUES[:, 0] + 20 * NOISE, VALUES) is None
    assert find(torch.full((ROWS,), 3.0), VALUES) is None
    assert find(torch.full((ROWS,), torch.nan), VALUES) is None


def test_few_rows_are_not_checked():
    assert find(CLASSES[:49], CLASSES[:49]) is None
    assert find(CLASSES[:50], CLASSES[:50]) == "x"


def test_dates_are_not_checked():
    column = Column(1, "day", "date", date_format=DateFormat())
    preprocessing = make_preprocessing([column], width=2)
    inputs = CLASSES.double()[:, None].expand(-1, preprocessing.stored_size)
    assert find_leak(inputs, CLASSES, preprocessing) is None
