"""Annotations: written out without aliases, as a JSON Schema, and in a user's words."""

import ast
from typing import Any

import griffe

from trainer.config.introspection.source_lookup import CLASSES, absolute, locate

Schema = dict[str, Any]  # a JSON Schema, draft 7; {} allows anything

OBJECT: Schema = {"type": "object", "required": ["_target_"]}  # something that a config has built
PLAIN: dict[str, Schema] = {
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
WORDS = {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "object": "mapping", "array": "list"}


def schema_of(annotation: str) -> Schema:
    """What a value in YAML may be; anything, where the annotation does not tell.

    Args:
        annotation: Python text without aliases, such as `"int | Sequence[int]"`.
    """
    try:
        return _schema(ast.parse(annotation or "Any", mode="eval").body)
    except SyntaxError:
        return {}


def _schema(node: ast.expr) -> Schema:
    match node:
        case ast.Constant(value=None):
            return PLAIN["None"]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _any_of([left, right])
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            return {"enum": [ast.literal_eval(each) for each in _several(inner)]}
        case ast.Subscript(value=ast.Name(id="Union"), slice=inner):
            return _any_of(_several(inner))
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return _any_of([inner, ast.Constant(None)])
        case ast.Subscript(value=ast.Name(id="Annotated" | "Final"), slice=inner):
            return _schema(_several(inner)[0])
        case ast.Subscript(value=ast.Name(id="tuple" | "Tuple"), slice=ast.Tuple(elts=inner)) if not _endless(inner):
            items = [_schema(each) for each in inner]
            return {"type": "array", "items": items, "minItems": len(items), "maxItems": len(items)}
        case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in PLAIN:
            schema, last = PLAIN[name], _several(inner)
            if schema["type"] == "array":
                return schema | {"items": _schema(last[0])}
            return schema | {"additionalProperties": _schema(last[-1])}
        case ast.Name(id=name):
            return PLAIN.get(name, {})
    return {}


def _any_of(nodes: list[ast.expr]) -> Schema:
    """One of several; a class among them, which alone may be anything, is then an object with a `_target_`."""
    options: list[Schema] = []
    for node in nodes:
        if isinstance(node, ast.Name) and node.id not in PLAIN and node.id not in ("Any", "object"):
            schema = OBJECT
        else:
            schema = _schema(node)
        if not schema:
            return {}
        for each in schema.get("anyOf", [schema]):
            before = next((other for other in options if {*other} == {*each} == {"enum"}), None)
            if before:  # several Literals are one
                before["enum"] = [*dict.fromkeys([*before["enum"], *each["enum"]])]
            elif each not in options:
                options.append(dict(each))
    return options[0] if len(options) == 1 else {"anyOf": options}


def _several(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _endless(items: list[ast.expr]) -> bool:
    return isinstance(items[-1], ast.Constant) and items[-1].value is ...


def in_words(schema: Schema) -> str:
    """A schema as a user would say it: `int or null`, `list of int`, `relu | tanh`; "" for anything."""
    if values := allowed(schema):
        return " | ".join(dict.fromkeys("null" if each is None else str(each) for each in values))
    if "anyOf" in schema:
        options = [in_words(each) for each in schema["anyOf"]]
        if {*options} - {
            "object",
            "null",
        } and "object" in options:  # what can be typed is told; an object in its place is seldom
            options.remove("object")
        return " or ".join(options)
    if "enum" in schema:
        return " | ".join("null" if each is None else str(each) for each in schema["enum"])
    if "required" in schema:
        return "object"
    kind = schema.get("type", "")
    items = schema.get("items")
    if isinstance(items, list):
        return f"[{', '.join(in_words(each) or 'any' for each in items)}]"
    inner = in_words(items) if items else ""
    return str(WORDS.get(kind, kind)) + (f" of {f'({inner})' if ' or ' in inner else inner}" if inner else "")


def allowed(schema: Schema) -> list[Any] | None:
    """The values that are allowed where only some are; else None."""
    options = schema.get("anyOf", [schema])
    if not any("enum" in each for each in options) or not all(
        "enum" in each or each == PLAIN["None"] for each in options
    ):
        return None
    return [value for each in options for value in each.get("enum", [None])]


def written_out(annotation: str, module: griffe.Module) -> str:
    """An annotation with its aliases replaced by what they stand for: `Activation` by `Literal['relu', ...]`."""
    try:
        tree = ast.parse(annotation, mode="eval").body
    except SyntaxError:
        return annotation
    return ast.unparse(_WrittenOut(module).visit(tree))


class _WrittenOut(ast.NodeTransformer):
    def __init__(self, module: griffe.Module) -> None:
        self.module = module

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if ast.unparse(node.value).rpartition(".")[2] == "Literal":
            return node
        node.value, node.slice = self.visit(node.value), self.visit(node.slice)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return self.visit(ast.parse(node.value, mode="eval").body) if isinstance(node.value, str) else node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._stood_for(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return self._stood_for(node)

    def _stood_for(self, node: ast.Name | ast.Attribute) -> ast.expr:
        path = absolute(ast.unparse(node), self.module)
        plain = path.startswith(("typing", "collections", "pathlib", "datetime")) or "." not in path or path in CLASSES
        found = None if plain else locate(path)
        if isinstance(found, griffe.Attribute) and found.value is not None:
            return _WrittenOut(found.module).visit(ast.parse(str(found.value), mode="eval").body)
        return ast.Name(path.rpartition(".")[2])
