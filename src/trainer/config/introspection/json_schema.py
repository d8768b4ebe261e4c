"""JSON Schemas of the YAML files, for editors: what may stand in a choice, an experiment and the root config.

One schema for each group. What may stand beside a `_target_` is told by the signature of what it names; what an
experiment may change in `model`, by the model that its defaults list chooses. Draft 7, which every editor knows.
"""

from typing import Any

from trainer.config.introspection.experiments import usual_choices
from trainer.config.introspection.fields import content_of, has_target
from trainer.config.introspection.group_options import EXPERIMENT, LISTS, Choice, choices, comments_of
from trainer.config.introspection.signatures import signature
from trainer.config.introspection.target_schema import NODE, changed, closed, definitions_of, targets, value
from trainer.config.introspection.type_schema import Schema, schema_of
from trainer.config.schema import HOME, OF_MODEL

DRAFT = "http://json-schema.org/draft-07/schema#"
BASES: Schema = {"defaults": {"type": "array", "description": "Choices of the same group that this one builds on."}}


def schemas() -> dict[str, Schema]:
    """A schema for each kind of file, by group; `config` is the root, and `local` a machine's own settings."""
    readable = {group: {n: each for n, each in all_.items() if each.is_readable} for group, all_ in choices().items()}
    groups = {group: members for group, members in readable.items() if members}
    known = definitions_of([each for members in groups.values() for each in members.values()])
    alike = {group: name for group, name in usual_choices().items() if len(targets(groups[group].values())) == 1}
    made = {group: _recipe(groups, usual_choices()) | known for group in (EXPERIMENT, "config")}
    for group in dict.fromkeys([*groups, "local"]):
        members = [*groups.get(group, {}).values()]
        if group not in made and all(each.is_global for each in members):
            made[group] = _recipe(groups, alike) | known
        elif group not in made:
            made[group] = _of_group(group, members)
    return {group: {"$schema": DRAFT, "title": f"trainer: {group}", **schema} for group, schema in made.items()}


def _of_group(group: str, members: list[Choice]) -> Schema:
    """What may stand in `conf/GROUP/*.yaml`."""
    known = definitions_of(members, BASES)
    if group == "model":
        properties = _of_model()
        whole: Schema = {"if": {"not": {"required": ["defaults"]}}, "then": {"required": ["task", "net"]}}
        return closed(properties | BASES) | whole | known
    if group in LISTS:
        named = closed(BASES | _entries(members))
        own = {"type": "object", "additionalProperties": NODE}
        return {"if": {"required": ["defaults"]}, "then": named, "else": own} | known
    bases = [other.content for other in members if "_target_" in other.content]
    on_base = changed(bases[0], beside=BASES)["else"] if bases else {}
    based: Schema = {"required": ["defaults"], **on_base}
    return {"type": "object", "if": {"required": ["_target_"]}, "then": NODE, "else": based} | known


def _of_model() -> Schema:
    properties = {name: NODE | {"description": text} for name, text in OF_MODEL.items()}
    return properties | {"monitor": {"type": ["string", "null"], "description": OF_MODEL["monitor"]}}


def _recipe(groups: dict[str, dict[str, Choice]], usual: dict[str, Any]) -> Schema:
    """What may stand in a file that changes any key.

    Args:
        groups: All choices.
        usual: What is chosen where its defaults list does not say; a group that is missing here may be any.
    """
    root = signature("trainer.config.schema.Config")
    comments = comments_of((HOME / "conf/config.yaml").read_text("utf-8"))
    properties: Schema = {}
    for each in root.parameters:
        said = {"description": comments[each.name]} if each.name in comments else {}
        properties[each.name] = value(schema_of(each.annotation)) | said
    rules = []
    for group, members in groups.items():
        if group in LISTS:
            entries = _entries([*members.values()])
            said = {"description": "By name; a new one has a _target_."}
            properties[group] = said | {"type": ["object", "null"], "properties": entries, "additionalProperties": NODE}
        elif group in properties:
            # where a rule below always tells more, an editor is not to offer the key twice
            properties[group] = group in usual or {"type": "object", "description": f"Changes the chosen {group}."}
            for name, choice in members.items():
                content, _ = content_of(choice)
                cases = [_chooses(group, name), *([{"not": _chooses(group)}] if usual.get(group) == name else [])]
                then = {"properties": {group: changed(content, beside=_of_model() if group == "model" else {})}}
                rules.append({"if": {"anyOf": cases}, "then": then})
    properties |= {"defaults": _defaults(groups), "hydra": {"type": "object"}}
    return closed(properties) | {"allOf": rules}


def _defaults(groups: dict[str, dict[str, Choice]]) -> Schema:
    """The defaults list of a recipe: what may be chosen, group by group."""
    patterns: Schema = {"^(optional +)?(override +)?/?hydra/": {}}
    for group, members in groups.items():
        name: Schema = {"enum": [*members]}
        if group in LISTS:
            patterns[_pattern(group)] = {"anyOf": [name, {"type": "array", "items": name}]}
        else:
            patterns[_pattern(group)] = name if group in usual_choices() else {"enum": [*members, None]}
    patterns |= {_pattern("local"): {}} if "local" not in groups else {}
    # what an editor offers; the patterns are what is checked
    offered = {f"override /{group}": patterns[_pattern(group)] for group in groups if group in usual_choices()}
    choice = {"type": "object", "properties": offered, "patternProperties": patterns, "additionalProperties": False}
    return {"type": "array", "items": {"anyOf": [{"enum": ["_self_", "schema"]}, choice]}}


def _pattern(group: str) -> str:
    return f"^(optional +)?(override +)?/?{group}(@.*)?$"


def _chooses(group: str, name: str | None = None) -> Schema:
    """Whether a defaults list chooses that of a group; without a name, whether it chooses any of it."""
    chosen: Schema = {"type": "object", "minProperties": 1, "propertyNames": {"pattern": _pattern(group)}}
    if name is not None:
        chosen["additionalProperties"] = {"const": name}
    return {"required": ["defaults"], "properties": {"defaults": {"contains": chosen}}}


def _entries(members: list[Choice]) -> Schema:
    """The named entries of all choices of a group such as callbacks."""
    entries: Schema = {}
    for choice in members:
        entries |= {name: changed(node) for name, node in choice.content.items() if has_target(node)}
    return entries
