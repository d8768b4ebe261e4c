"""JSON Schemas of config nodes with a `_target_`, derived from the signature of the target."""

from collections.abc import Iterable
from typing import Any

from trainer.config.introspection.fields import (
    HYDRA_KEYS,
    find_group_settings,
    find_runtime_arguments,
    has_target,
    parse_default,
)
from trainer.config.introspection.group_options import Choice
from trainer.config.introspection.signatures import Parameter, Signature, signature
from trainer.config.introspection.type_schema import TARGET_OBJECT, Schema, build_type_schema
from trainer.config.schema import MODULE_PARTS, MONITOR_DESCRIPTION, MONITOR_KEY
from trainer.core.errors import UserError

INTERPOLATION_REF: Schema = {"$ref": "#/definitions/reference"}
NODE_REF: Schema = {"$ref": "#/definitions/node"}
MONITOR_PROPERTY: Schema = {MONITOR_KEY: {"type": ["string", "null"], "description": MONITOR_DESCRIPTION}}
SCHEDULE_PROPERTIES: Schema = {
    "interval": {"enum": ["step", "epoch"], "description": "The event after which the schedule changes the rate."},
    "monitor": {"type": "string", "description": "The metric of `ReduceLROnPlateau`.", "default": "val/loss"},
}
TARGET_REQUIRED: Schema = {"type": "object", "required": ["_target_"]}
HYDRA_PROPERTIES: Schema = {
    "_target_": {"type": "string", "description": "Dotted path of the class or function that is called."},
    "_partial_": {"type": "boolean", "description": "true: further arguments are passed at run time."},
    "_convert_": {"enum": ["none", "partial", "object", "all"]},
    "_recursive_": {"type": "boolean"},
    "_args_": {"type": "array"},
}


def build_override_schema(node: dict[str, Any], extra: Schema | None = None) -> Schema:
    """Return the schema of an experiment's changes to a node: its arguments, or another node with a `_target_`.

    Args:
        node: Node of the choice.
        extra: Additional properties. Defaults to none.
    """
    properties = dict(extra or {})
    target = _find_signature(node)
    if target:
        properties |= _build_argument_schemas(target, node) | HYDRA_PROPERTIES
    for name, child in node.items():
        if has_target(child):
            properties[name] = build_override_schema(child)
        elif name not in properties and name not in HYDRA_KEYS:
            properties[name] = {}
    is_closed = bool(extra) if "_target_" not in node else target is not None and not target.accepts_kwargs
    overrides = build_closed_object(properties) if is_closed else {"type": "object", "properties": properties}
    return {"if": TARGET_REQUIRED, "then": NODE_REF, "else": overrides}


def build_definitions(choices: list[Choice], extra: Schema | None = None) -> Schema:
    """Return the shared definitions of a schema: interpolations, and a call of each known `_target_`.

    Args:
        choices: Choices whose targets are known.
        extra: Additional properties of each call. Defaults to none.
    """
    description = "${key}: another value; ???: a required value"
    reference = {"title": "${...}", "type": "string", "pattern": r"\$\{|^\?\?\?$", "description": description}
    targets = collect_targets(choices)
    cases = [{"if": _build_target_condition(name), "then": {"$ref": f"#/definitions/{name}"}} for name in targets]
    target = HYDRA_PROPERTIES["_target_"] | {"anyOf": [{"enum": [*targets]}, {"type": "string"}]}
    node = {"title": "_target_: ...", **TARGET_REQUIRED, "properties": {"_target_": target}, "allOf": cases}
    groups = {str(choice.content.get("_target_")): choice.group for choice in choices}
    calls = {name: _build_call_schema(call, extra or {}, groups.get(name, "")) for name, call in targets.items()}
    return {"definitions": {"reference": reference, "node": node, **calls}}


def _build_target_condition(target: str) -> Schema:
    return {"required": ["_target_"], "properties": {"_target_": {"const": target}}}


def collect_targets(choices: Iterable[Choice]) -> dict[str, dict[str, Any]]:
    """Return each `_target_` with a known signature, and the first node that contains it."""
    targets: dict[str, dict[str, Any]] = {}

    def visit(value: Any) -> None:
        if isinstance(value, dict):
            if _find_signature(value):
                targets.setdefault(str(value["_target_"]), value)
            for child in value.values():
                visit(child)

    for choice in choices:
        visit(choice.content)
    return targets


def build_setting_schemas(group: str, target: str) -> Schema:
    """Return the schemas of the keys of a group's node that are settings of the run instead of arguments.

    Args:
        group: Group of the node.
        target: Dotted path of the class or function.
    """
    if group == "optimizer":
        return _build_parameter_schemas(find_group_settings(), {})
    if group == "scheduler" and not target.startswith("trainer."):
        return SCHEDULE_PROPERTIES
    return MONITOR_PROPERTY if group == "model" else {}


def _build_call_schema(node: dict[str, Any], extra: Schema, group: str) -> Schema:
    """Return the schema of a node with the same `_target_`; the run completes the one of a LightningModule."""
    target = _find_signature(node)
    assert target
    arguments = _build_argument_schemas(target, node)
    properties = build_setting_schemas(group, target.target) | arguments | HYDRA_PROPERTIES | extra
    schema: Schema = {"description": target.summary, "type": "object", "properties": properties}
    if not target.accepts_kwargs:
        schema["additionalProperties"] = False
    provided = {*MODULE_PARTS} - {"net"} if group == "model" else ()
    required = [
        parameter.name
        for parameter in target.parameters
        if parameter.required and parameter.name in arguments and parameter.name not in provided
    ]
    if required and not node.get("_partial_"):
        partial = {"required": ["_partial_"], "properties": {"_partial_": {"const": True}}}
        schema |= {"if": {"not": {"anyOf": [{"required": ["_args_"]}, partial]}}, "then": {"required": required}}
    return schema


def _build_argument_schemas(target: Signature, node: dict[str, Any]) -> Schema:
    runtime = find_runtime_arguments(target.target, [*target.parameters], node)
    return _build_parameter_schemas((item for item in target.parameters if item.name not in runtime), node)


def _build_parameter_schemas(parameters: Iterable[Parameter], node: dict[str, Any]) -> Schema:
    properties: Schema = {}
    for parameter in parameters:
        name = parameter.name
        properties[name] = dict(allow_interpolation(build_type_schema(parameter.annotation)))
        if parameter.doc:
            properties[name]["description"] = parameter.doc
        if name in node or not parameter.required:
            properties[name]["default"] = node.get(name, parse_default(parameter))
    return properties


def allow_interpolation(schema: Schema) -> Schema:
    """Return a schema that also allows interpolations, and nodes with a `_target_` for objects."""
    if not schema:
        return {"if": TARGET_REQUIRED, "then": NODE_REF}
    if schema == TARGET_OBJECT:
        return NODE_REF
    if isinstance(schema.get("items"), dict):
        schema = schema | {"items": allow_interpolation(schema["items"])}
    elif "items" in schema:
        schema = schema | {"items": [allow_interpolation(item) for item in schema["items"]]}
    options = [allow_interpolation(option) for option in schema["anyOf"]] if "anyOf" in schema else [schema]
    options = [leaf for option in options for leaf in option.get("anyOf", [option]) if leaf != INTERPOLATION_REF]
    if {"type": "string"} not in options:
        options.append(INTERPOLATION_REF)
    return options[0] if len(options) == 1 else {"anyOf": options}


def build_closed_object(properties: Schema) -> Schema:
    """Return the schema of a mapping with these keys and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _find_signature(node: dict[str, Any]) -> Signature | None:
    try:
        return signature(str(node["_target_"])) if "_target_" in node else None
    except UserError:
        return None
