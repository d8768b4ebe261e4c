"""Tests of the conversion of annotations to JSON Schemas and type names."""

import pytest

from trainer.config.introspection.type_schema import TARGET_OBJECT, build_type_schema, format_type, list_allowed_values

INT, TEXT, NULL = {"type": "integer"}, {"type": "string"}, {"type": "null"}


@pytest.mark.parametrize(
    ("annotation", "schema", "name"),
    [
        ("int", INT, "int"),
        ("float", {"type": "number"}, "float"),
        ("bool", {"type": "boolean"}, "bool"),
        ("Path", TEXT, "str"),
        ("None", NULL, "null"),
        ("Any", {}, ""),
        ("", {}, ""),
        ("not python", {}, ""),
        ("Callable[[int], str]", {}, ""),
        ("nn.Module", {}, ""),
        ("int | None", {"anyOf": [INT, NULL]}, "int or null"),
        ("Optional[int]", {"anyOf": [INT, NULL]}, "int or null"),
        ("Union[int, Optional[str]]", {"anyOf": [INT, TEXT, NULL]}, "int or str or null"),
        ("float | Tensor", {"anyOf": [{"type": "number"}, TARGET_OBJECT]}, "float"),
        ("Tensor | None", {"anyOf": [TARGET_OBJECT, NULL]}, "object or null"),
        ("int | Any", {}, ""),
        ("Sequence[int]", {"type": "array", "items": INT}, "list of int"),
        ("list", {"type": "array"}, "list"),
        ("list[int | str]", {"type": "array", "items": {"anyOf": [INT, TEXT]}}, "list of (int or str)"),
        ("tuple[int, ...]", {"type": "array", "items": INT}, "list of int"),
        ("tuple[int, str]", {"type": "array", "items": [INT, TEXT], "minItems": 2, "maxItems": 2}, "[int, str]"),
        ("dict[str, int]", {"type": "object", "additionalProperties": INT}, "mapping"),
        ("Literal['a', 1]", {"enum": ["a", 1]}, "a | 1"),
        ("Literal['a'] | Literal['b'] | None", {"anyOf": [{"enum": ["a", "b"]}, NULL]}, "a | b | null"),
        (
            "Literal['all'] | list[str]",
            {"anyOf": [{"enum": ["all"]}, {"type": "array", "items": TEXT}]},
            "all or list of str",
        ),
        ("Annotated[int, 'pixels']", INT, "int"),
    ],
)
def test_annotations_are_converted_to_schemas_and_type_names(annotation, schema, name):
    assert build_type_schema(annotation) == schema
    assert format_type(build_type_schema(annotation)) == name


def test_only_literals_and_null_have_allowed_values():
    assert list_allowed_values(build_type_schema("Literal['a', 'b'] | None")) == ["a", "b", None]
    assert list_allowed_values(build_type_schema("Literal['a'] | int")) is None
    assert list_allowed_values(build_type_schema("None")) is None
