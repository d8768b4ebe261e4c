"""Outputs of `predict_step` in all forms as records."""

from collections import namedtuple

import numpy as np
import pytest
import torch

from trainer.core.errors import UserError
from trainer.inference.prediction_records import iter_records

Pair = namedtuple("Pair", "mean error")

FORMS = {
    "numbers": (torch.tensor([1, 2]), [{"value": 1}, {"value": 2}]),
    "a scalar": (torch.tensor(1.5), [{"value": 1.5}]),
    "half precision": (torch.tensor([0.5]).bfloat16(), [{"value": 0.5}]),
    "vectors": (torch.tensor([[1, 2], [3, 4]]), [{"value": [1, 2]}, {"value": [3, 4]}]),
    "arrays": (np.array([1.0, 2.0]), [{"value": 1.0}, {"value": 2.0}]),
    "texts": (["a", "b"], [{"value": "a"}, {"value": "b"}]),
    "a text": ("a", [{"value": "a"}]),
    "a list of tensors": ([torch.tensor(1), torch.tensor([2, 3])], [{"value": 1}, {"value": [2, 3]}]),
    "a dictionary": ({"a": [1, 2], "b": torch.tensor([3, 4])}, [{"a": 1, "b": 3}, {"a": 2, "b": 4}]),
    "a tuple": ((torch.tensor([1]), ["x"]), [{"output_1": 1, "output_2": "x"}]),
    "a named tuple": (Pair([1], [2]), [{"mean": 1, "error": 2}]),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_example_has_a_record(form):
    output, records = FORMS[form]
    assert [*iter_records([[output]])] == [{"row": row, **record} for row, record in enumerate(records)]


def test_rows_are_counted_over_batches_and_loaders_are_numbered():
    records = [*iter_records([[torch.zeros(2), torch.zeros(1)], [torch.zeros(1)]])]
    assert [(record["loader"], record["row"]) for record in records] == [(0, 0), (0, 1), (0, 2), (1, 0)]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (None, "predict_step returned NoneType; expected tensors, numbers or texts"),
        ({"a": [1, 2], "b": [1]}, r"predict_step returned outputs of \[1, 2\] examples"),
        ({}, r"predict_step returned outputs of \[\] examples"),
        (iter([]), "predict_step returned list_iterator"),
    ],
)
def test_other_outputs_are_refused(output, message):
    with pytest.raises(UserError, match=f"^predict: {message}(.|\n)*--to=FILE.pt"):
        [*iter_records([[output]])]
