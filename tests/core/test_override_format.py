"""Overrides in messages, as a shell and Hydra read them."""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from trainer.core.override_format import format_list_override, format_override

TEXTS = [
    "my_data/a-1.csv",
    "/data/my file (2).csv",
    "../été, 1.csv",
    "a=b",
    "1.5",
    "12",
    ".5",
    "null",
    "True",
    "-inf",
    'it\'s "so"',
    "back\\slash\\",
    "${oc.env:HOME}",
    "${",
    " blank ",
    "two  blanks",
    "glob(*)",
    "{a}",
    "[a]",
    "a: b",
    "a#b!",
    "@x",
    "",
]


def read(text):
    """Return the values of the key in the overrides of a command."""
    [argument] = shlex.split(text)
    return OverridesParser.create().parse_override(argument).value()


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_read_as_it_is(text):
    value = read(format_override("data.path", text))
    assert str(value).replace("\\${", "${") == text
    assert not isinstance(value, int | float)
    values = read(format_list_override("data.classes", [text, "b"]))
    assert [str(item).replace("\\${", "${") for item in values] == [text, "b"]


@pytest.mark.parametrize(
    ("value", "override"),
    [
        (Path("my_data/a.csv"), "data.path=my_data/a.csv"),
        ("Close A", "'data.path=Close A'"),
        ("a,b", "'data.path=\"a,b\"'"),
        ("12", "'data.path=\"12\"'"),
        (12, "data.path=12"),
    ],
)
def test_only_necessary_quotes_are_added(value, override):
    assert format_override("data.path", value) == override


def test_class_names_may_be_numbers():
    assert format_list_override("data.classes", ["0", "10"]) == "'data.classes=[0,10]'"
