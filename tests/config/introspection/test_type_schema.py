"""Annotations as JSON Schemas and in words."""

import pytest

from trainer.config.introspection.type_schema import OBJECT, allowed, in_words, schema_of

INT, TEXT, NOTHING = {"type": "integer"}, {"type": "string"}, {"type": "null"}


@pytest.mark.parametrize(
    ("annotation", "schema", "words"),
    [
        ("int", INT, "int"),
        ("float", {"type": "number"}, "float"),
        ("bool", {"type": "boolean"}, "bool"),
        ("Path", TEXT, "str"),
        ("None", NOTHING, "null"),
        ("Any", {}, ""),
        ("", {}, ""),
        ("not python", {}, ""),
        ("Callable[[int], str]", {}, ""),
        ("nn.Module", {}, ""),
        ("int | None", {"anyOf": [INT, NOTHING]}, "int or null"),
        ("Optional[int]", {"anyOf": [INT, NOTHING]}, "int or null"),
        ("Union[int, Optional[str]]", {"anyOf": [INT, TEXT, NOTHING]}, "int or str or null"),
        ("float | Tensor", {"anyOf": [{"type": "number"}, OBJECT]}, "float"),
        ("Tensor | None", {"anyOf": [OBJECT, NOTHING]}, "object or null"),
        ("int | Any", {}, ""),
        ("Sequence[int]", {"type": "array", "items": INT}, "list of int"),
        ("list", {"type": "array"}, "list"),
        ("list[int | str]", {"type": "array", "items": {"anyOf": [INT, TEXT]}}, "list of (int or str)"),
        ("tuple[int, ...]", {"type": "array", "items": INT}, "list of int"),
        ("tuple[int, str]", {"type": "array", "items": [INT, TEXT], "minItems": 2, "maxItems": 2}, "[int, str]"),
        ("dict[str, int]", {"type": "object", "additionalProperties": INT}, "mapping"),
        ("Literal['a', 1]", {"enum": ["a", 1]}, "a | 1"),
        ("Literal['a'] | Literal['b'] | None", {"anyOf": [{"enum": ["a", "b"]}, NOTHING]}, "a | b | null"),
        (
            "Literal['all'] | list[str]",
            {"anyOf": [{"enum": ["all"]}, {"type": "array", "items": TEXT}]},
            "all or list of str",
        ),
        ("Annotated[int, 'pixels']", INT, "int"),
    ],
)
def test_an_annotation_is_a_schema_and_words(annotation, schema, words):
    assert schema_of(annotation) == schema
    assert in_words(schema_of(annotation)) == words


def test_only_literals_and_nothing_are_an_end_of_what_is_allowed():
    assert allowed(schema_of("Literal['a', 'b'] | None")) == ["a", "b", None]
    assert allowed(schema_of("Literal['a'] | int")) is None
    assert allowed(schema_of("None")) is None
