"""Errors about arguments that are no overrides, and about values that the grammar of overrides cannot read."""

import pytest

from trainer.config.stray_arguments import describe_invalid_value, diagnose_stray_arguments


@pytest.mark.parametrize(
    ("arguments", "key", "problem", "hint"),
    [
        ("lr = 0.1", "lr = 0.1", "contains spaces", "expected lr=0.1"),
        ("lr =0.1", "lr =0.1", "contains spaces", "expected lr=0.1"),
        ("lr= 0.1", "lr= 0.1", "contains spaces", "expected lr=0.1"),
        ("seed=1, 2, 3", "seed=1, 2, 3", "contains spaces", "expected seed=1,2,3"),
        ("lr:0.1", "lr:0.1", "not an override", "expected lr=0.1"),
        ("CNN", "CNN", "not an override", "did you mean model=cnn?"),
        ("model", "model", "not an override", "expected model=NAME; there are: attention, bag, "),
        ("data.path=my photos", "photos", "not an override", "quote a value with spaces: 'data.path=my photos'"),
        ("zzz", "zzz", "not an override", "expected key=value"),
    ],
)
def test_an_argument_that_is_no_override_is_explained(arguments, key, problem, hint):
    _, [diagnostic] = diagnose_stray_arguments(arguments.split(" "))
    assert (diagnostic.key, diagnostic.problem) == (key, problem)
    assert hint in diagnostic.suggestion


def test_overrides_remain_in_their_order():
    arguments = ["a=1", "~callbacks.progress", "digits", "+b.c=[1, 2]", "d=", "e=1"]
    assert diagnose_stray_arguments(arguments)[0] == ["a=1", "~callbacks.progress", "+b.c=[1, 2]", "d=", "e=1"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("[1,2", "[ without ]"),
        ("1)", ") without ("),
        ('"a', 'a quote is not closed: "'),
        ("1,2,", "a value is missing after the comma"),
        ('"[",{1', "{ without }"),
        ("=", "not a valid value"),
    ],
)
def test_an_invalid_value_is_described(value, reason):
    assert describe_invalid_value(value) == reason
