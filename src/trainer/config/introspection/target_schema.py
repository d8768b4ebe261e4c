"""JSON Schemas of the objects in a config: what may stand beside a `_target_`, by the signature of what it names."""

from typing import Any

from trainer.config.introspection.fields import OF_HYDRA, default_of, given_by_the_run, has_target
from trainer.config.introspection.group_options import Choice
from trainer.config.introspection.signatures import Signature, signature
from trainer.config.introspection.type_schema import OBJECT, Schema, schema_of
from trainer.core.errors import UserError

REFERENCE: Schema = {"$ref": "#/definitions/reference"}
NODE: Schema = {"$ref": "#/definitions/node"}
BUILT: Schema = {"type": "object", "required": ["_target_"]}
HYDRA: Schema = {
    "_target_": {"type": "string", "description": "Dotted path of the class or function that is called."},
    "_partial_": {"type": "boolean", "description": "true: more arguments come later, at run time."},
    "_convert_": {"enum": ["none", "partial", "object", "all"]},
    "_recursive_": {"type": "boolean"},
    "_args_": {"type": "array"},
}


def changed(node: dict[str, Any], beside: Schema | None = None) -> Schema:
    """What a recipe may write over a node of a choice: its arguments; or another object in its place.

    Args:
        node: Of the choice.
        beside: Keys that it may have beside those of its `_target_`, or without one.
    """
    properties = dict(beside or {})
    told = _signature_of(node)
    if told:
        properties |= _arguments(told, node) | HYDRA
    for name, child in node.items():
        if has_target(child):
            properties[name] = changed(child)
        elif name not in properties and name not in OF_HYDRA:
            properties[name] = {}
    known = told is not None if "_target_" in node else bool(beside)
    whole = closed(properties) if known and not (told and told.takes_any) else {"properties": properties}
    return {"if": BUILT, "then": NODE, "else": {"type": "object", **whole}}


def definitions_of(members: list[Choice], beside: Schema | None = None) -> Schema:
    """What other places of a schema point to: references, and what may stand beside each `_target_` that is known.

    Args:
        members: The choices whose targets are known.
        beside: Keys that may stand there in any case.
    """
    words = "${key}: another value; ???: must be given"
    reference = {"title": "${...}", "type": "string", "pattern": r"\$\{|^\?\?\?$", "description": words}
    known = targets(members)
    cases = [{"if": _names(target), "then": {"$ref": f"#/definitions/{target}"}} for target in known]
    target = HYDRA["_target_"] | {"anyOf": [{"enum": [*known]}, {"type": "string"}]}
    node = {"title": "_target_: ...", **BUILT, "properties": {"_target_": target}, "allOf": cases}
    calls = {name: _call(node, beside or {}) for name, node in known.items()}
    return {"definitions": {"reference": reference, "node": node, **calls}}


def _names(target: str) -> Schema:
    return {"required": ["_target_"], "properties": {"_target_": {"const": target}}}


def targets(members: Any) -> dict[str, dict[str, Any]]:
    """Every `_target_` of some choices whose signature is known, with the node that it stands in."""
    found: dict[str, dict[str, Any]] = {}

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if _signature_of(value):
                found.setdefault(str(value["_target_"]), value)
            for child in value.values():
                look(child)

    for choice in members:
        look(choice.content)
    return found


def _call(node: dict[str, Any], beside: Schema) -> Schema:
    """What may stand beside a `_target_`, and beside its arguments."""
    told = _signature_of(node)
    assert told
    properties = _arguments(told, node)
    schema: Schema = {"description": told.summary, "type": "object", "properties": properties | HYDRA | beside}
    if not told.takes_any:
        schema["additionalProperties"] = False
    needed = [each.name for each in told.parameters if each.required and each.name in properties]
    if needed and not node.get("_partial_"):
        later = [{"required": ["_args_"]}, {"required": ["_partial_"], "properties": {"_partial_": {"const": True}}}]
        schema |= {"if": {"not": {"anyOf": later}}, "then": {"required": needed}}
    return schema


def _arguments(told: Signature, node: dict[str, Any]) -> Schema:
    properties: Schema = {}
    given = given_by_the_run(told.target, [*told.parameters], node)
    for each in told.parameters:
        if each.name not in given:
            schema = value(schema_of(each.annotation)) | ({"description": each.doc} if each.doc else {})
            if each.name in node or not each.required:
                schema = schema | {"default": node.get(each.name, default_of(each))}
            properties[each.name] = schema
    return properties


def value(schema: Schema) -> Schema:
    """A schema of values that lets references stand for them, and objects to be built."""
    if not schema:
        return {"if": BUILT, "then": NODE}
    if schema == OBJECT:
        return NODE
    if isinstance(schema.get("items"), dict):
        schema = schema | {"items": value(schema["items"])}
    elif "items" in schema:
        schema = schema | {"items": [value(each) for each in schema["items"]]}
    options = [value(each) for each in schema["anyOf"]] if "anyOf" in schema else [schema]
    options = [each for option in options for each in option.get("anyOf", [option]) if each != REFERENCE]
    if {"type": "string"} not in options:
        options.append(REFERENCE)
    return options[0] if len(options) == 1 else {"anyOf": options}


def closed(properties: Schema) -> Schema:
    """A mapping of these keys and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _signature_of(node: dict[str, Any]) -> Signature | None:
    try:
        return signature(str(node["_target_"])) if "_target_" in node else None
    except UserError:
        return None
