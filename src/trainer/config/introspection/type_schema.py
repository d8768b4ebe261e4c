"""Conversion of annotations to JSON Schemas and to type names for users."""

import ast
from typing import Any

import griffe

from trainer.config.introspection.source_lookup import KNOWN_CLASSES, locate, qualify_name

Schema = dict[str, Any]  # a JSON Schema, draft 7; {} allows anything

TARGET_OBJECT: Schema = {"type": "object", "required": ["_target_"]}  # an object that a config builds
TYPE_SCHEMAS: dict[str, Schema] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "Path": {"type": "string"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "dict": {"type": "object"},
    "Mapping": {"type": "object"},
    **{
        name: {"type": "array"}
        for name in ("list", "tuple", "set", "Sequence", "Iterable", "Collection", "List", "Tuple")
    },
}
TYPE_NAMES = {
    "integer": "int",
    "number": "float",
    "string": "str",
    "boolean": "bool",
    "object": "mapping",
    "array": "list",
}


def build_type_schema(annotation: str) -> Schema:
    """Return the schema of an annotation; it allows anything if the annotation is missing or cannot be converted.

    Args:
        annotation: Python text without aliases, such as `"int | Sequence[int]"`.
    """
    try:
        return _build_type_schema(ast.parse(annotation or "Any", mode="eval").body)
    except SyntaxError:
        return {}


def _build_type_schema(node: ast.expr) -> Schema:
    match node:
        case ast.Constant(value=None):
            return TYPE_SCHEMAS["None"]
        case ast.BinOp(left, ast.BitOr(), right):
            return _build_union_schema([left, right])
        case ast.Subscript(ast.Name("Literal"), inner):
            return {"enum": [ast.literal_eval(item) for item in _unpack_tuple(inner)]}
        case ast.Subscript(ast.Name("Union"), inner):
            return _build_union_schema(_unpack_tuple(inner))
        case ast.Subscript(ast.Name("Optional"), inner):
            return _build_union_schema([inner, ast.Constant(None)])
        case ast.Subscript(ast.Name("Annotated" | "Final"), inner):
            return _build_type_schema(_unpack_tuple(inner)[0])
        case ast.Subscript(ast.Name("tuple" | "Tuple"), ast.Tuple(inner)) if not _is_variadic(inner):
            items = [_build_type_schema(item) for item in inner]
            return {"type": "array", "items": items, "minItems": len(items), "maxItems": len(items)}
        case ast.Subscript(ast.Name(name), inner) if name in TYPE_SCHEMAS:
            schema = TYPE_SCHEMAS[name]
            arguments = _unpack_tuple(inner)
            if schema["type"] == "array":
                return schema | {"items": _build_type_schema(arguments[0])}
            return schema | {"additionalProperties": _build_type_schema(arguments[-1])}
        case ast.Name(name):
            return TYPE_SCHEMAS.get(name, {})
    return {}


def _build_union_schema(nodes: list[ast.expr]) -> Schema:
    """Return the schema of a union; a class, which may be anything by itself, is an object with a `_target_` in it."""
    options: list[Schema] = []
    for node in nodes:
        if isinstance(node, ast.Name) and node.id not in TYPE_SCHEMAS and node.id not in ("Any", "object"):
            schema = TARGET_OBJECT
        else:
            schema = _build_type_schema(node)
        if not schema:
            return {}
        for option in schema.get("anyOf", [schema]):
            literal = next((other for other in options if {*other} == {*option} == {"enum"}), None)
            if literal:  # merge several Literals
                literal["enum"] = [*dict.fromkeys([*literal["enum"], *option["enum"]])]
            elif option not in options:
                options.append(dict(option))
    return options[0] if len(options) == 1 else {"anyOf": options}


def _unpack_tuple(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _is_variadic(items: list[ast.expr]) -> bool:
    return isinstance(items[-1], ast.Constant) and items[-1].value is ...


def format_type(schema: Schema) -> str:
    """Return the name of a type: `int or null`, `list of int`, `relu | tanh`; "" for anything."""
    if values := list_allowed_values(schema):
        return " | ".join(dict.fromkeys("null" if value is None else str(value) for value in values))
    if "anyOf" in schema:
        options = [format_type(option) for option in schema["anyOf"]]
        if "object" in options and {*options} - {"object", "null"}:  # objects are rarely used if a value is possible
            options.remove("object")
        return " or ".join(options)
    if "required" in schema:
        return "object"
    kind = schema.get("type", "")
    items = schema.get("items")
    if isinstance(items, list):
        return f"[{', '.join(format_type(item) or 'any' for item in items)}]"
    inner = format_type(items) if items else ""
    return str(TYPE_NAMES.get(kind, kind)) + (f" of {f'({inner})' if ' or ' in inner else inner}" if inner else "")


def list_allowed_values(schema: Schema) -> list[Any] | None:
    """Return all allowed values, or None if they are not enumerated."""
    options = schema.get("anyOf", [schema])
    others = [option for option in options if "enum" not in option]
    if len(others) == len(options) or any(option != TYPE_SCHEMAS["None"] for option in others):
        return None
    return [value for option in options for value in option.get("enum", [None])]


def expand_aliases(annotation: str, module: griffe.Module) -> str:
    """Return an annotation with its aliases expanded: `Literal['relu', ...]` for `Activation`."""
    try:
        tree = ast.parse(annotation, mode="eval").body
    except SyntaxError:
        return annotation
    return ast.unparse(_AliasExpander(module).visit(tree))


class _AliasExpander(ast.NodeTransformer):
    def __init__(self, module: griffe.Module) -> None:
        self.module = module

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if ast.unparse(node.value).rpartition(".")[2] == "Literal":
            return node
        node.value = self.visit(node.value)
        node.slice = self.visit(node.slice)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return self.visit(ast.parse(node.value, mode="eval").body) if isinstance(node.value, str) else node

    def visit_Name(self, node: ast.Name | ast.Attribute) -> ast.expr:
        path = qualify_name(ast.unparse(node), self.module)
        is_standard = path.startswith(("typing", "collections", "pathlib", "datetime")) or "." not in path
        member = None if is_standard or path in KNOWN_CLASSES else locate(path)
        if isinstance(member, griffe.Attribute) and member.value is not None:
            return _AliasExpander(member.module).visit(ast.parse(str(member.value), mode="eval").body)
        return ast.Name(path.rpartition(".")[2])

    visit_Attribute = visit_Name  # noqa: N815  called by its name
