"""Defaults of DataSpec, and the error for data that a network cannot use."""

from dataclasses import FrozenInstanceError, replace

import pytest

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec

POINTS = DataSpec("diabetes", "vector", (8,), "regression", output_size=1)
MESSAGES = {
    "vector": "model 'net' needs tokens (time,); data 'some' has vectors (8,)",
    "image": "model 'net' needs tokens (time,); data 'some' has images (3, 32, 32)",
    "sequence": "model 'net' needs tokens (time,); data 'some' has sequences (12, 1)",
}
SHAPES = {"vector": (8,), "image": (3, 32, 32), "sequence": (12, 1)}


def test_a_spec_has_no_classes_and_no_vocabulary_by_default():
    assert POINTS.class_names == ()
    assert POINTS.vocabulary_size == 0


@pytest.mark.parametrize(("output_size", "names"), [(1, ("0", "1")), (2, ("0", "1")), (3, ("0", "1", "2"))])
def test_classes_without_names_are_named_by_number(output_size, names):
    assert DataSpec("some", "vector", (8,), "classification", output_size).class_names == names


def test_a_spec_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        POINTS.output_size = 2


def test_specs_are_compared_by_value():
    assert replace(POINTS) == POINTS
    assert replace(POINTS, shape=(9,)) != POINTS


@pytest.mark.parametrize("kinds", [("vector",), ("image", "vector"), ("vector", "sequence", "tokens")])
def test_a_supported_kind_is_accepted(kinds):
    POINTS.require("mlp", *kinds)


def test_the_error_names_model_and_data():
    with pytest.raises(MismatchError) as error:
        POINTS.require("cnn", "image")
    assert str(error.value) == "model 'cnn' needs images (channels, height, width); data 'diabetes' has vectors (8,)"


def test_the_error_names_each_supported_kind():
    with pytest.raises(MismatchError, match=r"needs sequences \(time, features\) or tokens \(time,\); data"):
        POINTS.require("lstm", "sequence", "tokens")


@pytest.mark.parametrize("kind", MESSAGES)
def test_the_error_contains_the_shape_of_every_kind(kind):
    with pytest.raises(MismatchError) as error:
        DataSpec("some", kind, SHAPES[kind], "regression", 1).require("net", "tokens")
    assert str(error.value) == MESSAGES[kind]


def test_a_mismatch_is_a_user_error():
    assert issubclass(MismatchError, UserError)
