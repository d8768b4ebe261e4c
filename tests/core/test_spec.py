"""DataSpec: what a data set promises, and how a network refuses what it cannot take."""

from dataclasses import FrozenInstanceError, replace

import pytest

from trainer.core.errors import MismatchError, UserError
from trainer.core.spec import DataSpec

POINTS = DataSpec("diabetes", "vector", (8,), "values", output_size=1)
REFUSALS = {
    "vector": "model 'net' needs tokens (time,); data 'some' has vectors (8,)",
    "image": "model 'net' needs tokens (time,); data 'some' has images (3, 32, 32)",
    "sequence": "model 'net' needs tokens (time,); data 'some' has sequences (12, 1)",
}
SHAPES = {"vector": (8,), "image": (3, 32, 32), "sequence": (12, 1)}


def test_a_spec_has_no_classes_and_no_vocabulary_unless_told():
    assert POINTS.class_names == ()
    assert POINTS.vocabulary_size == 0


def test_a_spec_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        POINTS.output_size = 2


def test_equal_promises_are_equal():
    assert replace(POINTS) == POINTS
    assert replace(POINTS, shape=(9,)) != POINTS


@pytest.mark.parametrize("kinds", [("vector",), ("image", "vector"), ("vector", "sequence", "tokens")])
def test_a_kind_that_the_model_takes_is_not_refused(kinds):
    POINTS.require("mlp", *kinds)


def test_a_refusal_names_what_the_model_needs_and_what_the_data_have():
    with pytest.raises(MismatchError) as refusal:
        POINTS.require("cnn", "image")
    assert str(refusal.value) == "model 'cnn' needs images (channels, height, width); data 'diabetes' has vectors (8,)"


def test_a_refusal_names_each_kind_that_the_model_takes():
    with pytest.raises(MismatchError, match=r"needs sequences \(time, features\) or tokens \(time,\); data"):
        POINTS.require("lstm", "sequence", "tokens")


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_tells_the_shape_of_every_kind(kind):
    with pytest.raises(MismatchError) as refusal:
        DataSpec("some", kind, SHAPES[kind], "values", 1).require("net", "tokens")
    assert str(refusal.value) == REFUSALS[kind]


def test_a_mismatch_is_the_users_to_mend():
    assert issubclass(MismatchError, UserError)
