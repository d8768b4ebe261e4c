"""JSON Schemas (draft 7) of the YAML files for editors: group files, experiments and the root config.

The arguments of a `_target_` are checked against its signature; in an experiment, the keys below `model` against the
model that its defaults list chooses.
"""

from typing import Any

from trainer.config.introspection.experiments import load_default_choices, load_root_comments
from trainer.config.introspection.fields import has_target, load_content
from trainer.config.introspection.group_options import EXPERIMENT_GROUP, LIST_GROUPS, Choice, Group, load_choices
from trainer.config.introspection.signatures import signature
from trainer.config.introspection.target_schema import (
    NODE_REF,
    allow_interpolation,
    build_closed_object,
    build_definitions,
    build_override_schema,
    build_setting_schemas,
    collect_targets,
)
from trainer.config.introspection.type_schema import Schema, build_type_schema

DRAFT_URI = "http://json-schema.org/draft-07/schema#"
DEFAULTS_PROPERTY: Schema = {
    "defaults": {"type": "array", "description": "Choices of the same group that this file extends."}
}


def build_schemas() -> dict[str, Schema]:
    """Return a schema for each group; `config` is the root config, `local` the settings of a machine."""
    groups = {}
    for group, choices in load_choices().items():
        readable = {name: choice for name, choice in choices.items() if choice.is_readable}
        if readable:
            groups[group] = readable
    definitions = build_definitions([choice for choices in groups.values() for choice in choices.values()])
    defaults = load_default_choices()
    # groups whose choices all have the same target
    uniform = {group: name for group, name in defaults.items() if len(collect_targets(groups[group].values())) == 1}
    schemas = {}
    for group in (EXPERIMENT_GROUP, "config"):
        schemas[group] = _build_experiment_schema(groups, defaults) | definitions
    for group in dict.fromkeys([*groups, "local"]):
        members = [*groups.get(group, {}).values()]
        if group not in schemas and all(choice.is_global for choice in members):
            schemas[group] = _build_experiment_schema(groups, uniform) | definitions
        elif group not in schemas:
            schemas[group] = _build_group_schema(group, members)
    return {group: {"$schema": DRAFT_URI, "title": f"trainer: {group}", **schema} for group, schema in schemas.items()}


def _build_group_schema(group: str, choices: list[Choice]) -> Schema:
    """Return the schema of `conf/GROUP/*.yaml`."""
    definitions = build_definitions(choices, DEFAULTS_PROPERTY)
    if group in LIST_GROUPS:
        extended = build_closed_object(DEFAULTS_PROPERTY | _build_entry_schemas(choices))
        standalone = {"type": "object", "additionalProperties": NODE_REF}
        return {"if": {"required": ["defaults"]}, "then": extended, "else": standalone} | definitions
    bases = [choice.content for choice in choices if "_target_" in choice.content]
    is_uniform = len({base["_target_"] for base in bases}) == 1
    overrides = build_override_schema(bases[0], DEFAULTS_PROPERTY)["else"] if is_uniform else {"type": "object"}
    extending: Schema = {"required": ["defaults"], **overrides}
    return {"type": "object", "if": {"required": ["_target_"]}, "then": NODE_REF, "else": extending} | definitions


def _build_experiment_schema(groups: dict[str, Group], defaults: dict[str, Any]) -> Schema:
    """Return the schema of a file that may change any key.

    Args:
        groups: All choices.
        defaults: Choices that apply if the defaults list does not override them; groups without one may have any.
    """
    properties: Schema = {}
    for key in signature("trainer.config.schema.Config").parameters:
        comment = load_root_comments().get(key.name)
        description = {"description": comment} if comment else {}
        properties[key.name] = allow_interpolation(build_type_schema(key.annotation)) | description
    rules = []
    for group, choices in groups.items():
        if group in LIST_GROUPS:
            entries = _build_entry_schemas([*choices.values()])
            properties[group] = {
                "description": "Entries by name; a new entry has a _target_.",
                "type": ["object", "null"],
                "properties": entries,
                "additionalProperties": NODE_REF,
            }
        elif group in properties:
            # if a rule below always applies, an editor should not offer the key twice
            properties[group] = group in defaults or {"type": "object", "description": f"Changes the chosen {group}."}
            for name, choice in choices.items():
                conditions = [_build_choice_condition(group, name)]
                if defaults.get(group) == name:
                    conditions.append({"not": _build_choice_condition(group)})
                content = load_content(choice)[0]
                settings = build_setting_schemas(group, str(content.get("_target_")))
                overrides = build_override_schema(content, settings)
                rules.append({"if": {"anyOf": conditions}, "then": {"properties": {group: overrides}}})
    properties |= {"defaults": _build_defaults_schema(groups), "hydra": {"type": "object"}}
    return build_closed_object(properties) | {"allOf": rules}


def _build_defaults_schema(groups: dict[str, Group]) -> Schema:
    """Return the schema of an experiment's defaults list."""
    patterns: Schema = {"^(optional +)?(override +)?/?hydra/": {}}
    suggestions = {}  # offered by an editor; the patterns are checked
    for group, choices in groups.items():
        name: Schema = {"enum": [*choices]}
        if group in LIST_GROUPS:
            name = {"anyOf": [name, {"type": "array", "items": name}]}
        elif group not in load_default_choices():
            name = {"enum": [*choices, None]}
        patterns[_build_group_pattern(group)] = name
        if group in load_default_choices():
            suggestions[f"override /{group}"] = name
    patterns.setdefault(_build_group_pattern("local"), {})
    choice = {"type": "object", "properties": suggestions, "patternProperties": patterns, "additionalProperties": False}
    return {"type": "array", "items": {"anyOf": [{"enum": ["_self_", "schema"]}, choice]}}


def _build_group_pattern(group: str) -> str:
    return f"^(optional +)?(override +)?/?{group}(@.*)?$"


def _build_choice_condition(group: str, name: str | None = None) -> Schema:
    """Return a condition: the defaults list chooses `name` of a group, or any choice of it without a name."""
    item: Schema = {"type": "object", "minProperties": 1, "propertyNames": {"pattern": _build_group_pattern(group)}}
    if name is not None:
        item["additionalProperties"] = {"const": name}
    return {"required": ["defaults"], "properties": {"defaults": {"contains": item}}}


def _build_entry_schemas(choices: list[Choice]) -> Schema:
    """Return the schemas of the named entries in all choices of a group such as callbacks."""
    nodes = {name: node for choice in choices for name, node in choice.content.items() if has_target(node)}
    return {name: build_override_schema(node) for name, node in nodes.items()}
