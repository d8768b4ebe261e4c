"""Columns of the file behind the network inputs of a table."""

import torch

from trainer.core.spec import DataSpec
from trainer.data.preprocessing.tabular import make_passthrough, make_preprocessing
from trainer.data.tabular.columns import Column
from trainer.inference.attribution.table_columns import list_columns

VECTORS = DataSpec("vectors", "vector", (5,), "classification", 1, categories=((1, 3),))


def test_a_column_has_its_numbers_its_indicator_and_its_one_hot_vector():
    columns = [
        Column(0, "city", "category", categories=("Rome", "Oslo")),
        Column(1, "age", "number", has_missing=True),
        Column(2, "", "boolean"),
        Column(4, "color", "category", categories=("red",)),
    ]
    mean = torch.tensor([30.0, 0.0], dtype=torch.float64)
    preprocessing = make_preprocessing(columns, width=5, mean=mean)
    # inputs: age, column 2, indicator of age, 4 codes of city, 3 codes of color
    expected = {"city": [3, 4, 5, 6], "age": [0, 2], "column 2": [1], "color": [7, 8, 9]}
    assert dict(list_columns(preprocessing, VECTORS)) == expected
    stored = torch.tensor([[40.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    changes = {"age": [float("nan"), 1, 0, 0], "column 2": [40, 0, 0, 0], "city": [40, 1, 1, 0], "color": [40, 1, 0, 1]}
    for name, changed in changes.items():
        difference = preprocessing.prepare(torch.tensor([changed]).double()) - preprocessing.prepare(stored)
        assert {*difference[0].nonzero()[:, 0].tolist()} <= {*expected[name]}


def test_columns_with_the_same_name_stay_separate():
    preprocessing = make_preprocessing([Column(0, "x", "number"), Column(1, "x", "number")], width=2)
    assert list_columns(preprocessing, VECTORS) == [("x", [0]), ("x", [1])]


def test_columns_without_names_are_numbered_from_0():
    assert list_columns(make_passthrough(2), VECTORS) == [("column 0", [0]), ("column 1", [1])]


def test_without_a_table_each_feature_and_each_one_hot_vector_is_a_column():
    columns = list_columns(None, VECTORS)
    assert [(name, [*features]) for name, features in columns] == [
        ("feature 0", [0]),
        ("feature 1", [1, 2, 3]),
        ("feature 4", [4]),
    ]
