"""JSON Schemas of the YAML files, for editors: what may stand in a choice, an experiment and the root config.

One schema for each group. What may stand beside a `_target_` is told by the signature of what it names; what an
experiment may change in `model`, by the model that its defaults list chooses. Draft 7, which every editor knows.
"""

from typing import Any

from trainer.config import HOME
from trainer.describe.annotations import OBJECT, Schema, schema_of
from trainer.describe.choices import EXPERIMENT, LISTS, Choice, choices, comments_of
from trainer.describe.fields import OF_HYDRA, content_of, default_of, given_by_the_run, has_target
from trainer.describe.recipes import usual_choices
from trainer.describe.signatures import Signature, signature
from trainer.errors import UserError

DRAFT = "http://json-schema.org/draft-07/schema#"
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
BASES: Schema = {"defaults": {"type": "array", "description": "Choices of the same group that this one builds on."}}
OF_MODEL = {
    "task": "The training procedure.",
    "net": "The network.",
    "monitor": "The metric that says which epoch is best; null: keep the last one.",
}


def schemas() -> dict[str, Schema]:
    """A schema for each kind of file, by group; `config` is the root, and `local` a machine's own settings."""
    readable = {group: {n: each for n, each in all_.items() if each.is_readable} for group, all_ in choices().items()}
    groups = {group: members for group, members in readable.items() if members}
    definitions = _definitions([each for members in groups.values() for each in members.values()])
    alike = {group: name for group, name in usual_choices().items() if len(_targets(groups[group].values())) == 1}
    made = {group: _recipe(groups, usual_choices()) | {"definitions": definitions} for group in (EXPERIMENT, "config")}
    for group in dict.fromkeys([*groups, "local"]):
        members = [*groups.get(group, {}).values()]
        if group not in made and all(each.is_global for each in members):
            made[group] = _recipe(groups, alike) | {"definitions": definitions}
        elif group not in made:
            made[group] = _of_group(group, members)
    return {group: {"$schema": DRAFT, "title": f"trainer: {group}", **schema} for group, schema in made.items()}


def _of_group(group: str, members: list[Choice]) -> Schema:
    """What may stand in `conf/GROUP/*.yaml`."""
    definitions = {"definitions": _definitions(members, BASES)}
    if group == "model":
        properties = _of_model()
        whole: Schema = {"if": {"not": {"required": ["defaults"]}}, "then": {"required": ["task", "net"]}}
        return _closed(properties | BASES) | whole | definitions
    if group in LISTS:
        named = _closed(BASES | _entries(members))
        own = {"type": "object", "additionalProperties": NODE}
        return {"if": {"required": ["defaults"]}, "then": named, "else": own} | definitions
    bases = [other.content for other in members if "_target_" in other.content]
    on_base = _changed(bases[0], beside=BASES)["else"] if bases else {}
    based: Schema = {"required": ["defaults"], **on_base}
    return {"type": "object", "if": {"required": ["_target_"]}, "then": NODE, "else": based} | definitions


def _of_model() -> Schema:
    properties = {name: NODE | {"description": text} for name, text in OF_MODEL.items()}
    return properties | {"monitor": {"type": ["string", "null"], "description": OF_MODEL["monitor"]}}


def _recipe(groups: dict[str, dict[str, Choice]], usual: dict[str, Any]) -> Schema:
    """What may stand in a file that changes any key.

    Args:
        groups: All choices.
        usual: What is chosen where its defaults list does not say; a group that is missing here may be any.
    """
    root = signature("trainer.config.Config")
    comments = comments_of((HOME / "conf/config.yaml").read_text("utf-8"))
    properties: Schema = {}
    for each in root.parameters:
        said = {"description": comments[each.name]} if each.name in comments else {}
        properties[each.name] = _value(schema_of(each.annotation)) | said
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
                then = {"properties": {group: _changed(content, beside=_of_model() if group == "model" else {})}}
                rules.append({"if": {"anyOf": cases}, "then": then})
    properties |= {"defaults": _defaults(groups), "hydra": {"type": "object"}}
    return _closed(properties) | {"allOf": rules}


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
        entries |= {name: _changed(node) for name, node in choice.content.items() if has_target(node)}
    return entries


def _changed(node: dict[str, Any], beside: Schema | None = None) -> Schema:
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
            properties[name] = _changed(child)
        elif name not in properties and name not in OF_HYDRA:
            properties[name] = {}
    known = told is not None if "_target_" in node else bool(beside)
    closed = _closed(properties) if known and not (told and told.takes_any) else {"properties": properties}
    return {"if": BUILT, "then": NODE, "else": {"type": "object", **closed}}


def _definitions(members: list[Choice], beside: Schema | None = None) -> Schema:
    """What other places of a schema point to: references, and what may stand beside each `_target_` that is known.

    Args:
        members: The choices whose targets are known.
        beside: Keys that may stand there in any case.
    """
    words = "${key}: another value; ???: must be given"
    reference = {"title": "${...}", "type": "string", "pattern": r"\$\{|^\?\?\?$", "description": words}
    known = _targets(members)
    cases = [{"if": _names(target), "then": {"$ref": f"#/definitions/{target}"}} for target in known]
    target = HYDRA["_target_"] | {"anyOf": [{"enum": [*known]}, {"type": "string"}]}
    node = {"title": "_target_: ...", **BUILT, "properties": {"_target_": target}, "allOf": cases}
    calls = {name: _call(node, beside or {}) for name, node in known.items()}
    return {"reference": reference, "node": node, **calls}


def _names(target: str) -> Schema:
    return {"required": ["_target_"], "properties": {"_target_": {"const": target}}}


def _targets(members: Any) -> dict[str, dict[str, Any]]:
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
            schema = _value(schema_of(each.annotation)) | ({"description": each.doc} if each.doc else {})
            if each.name in node or not each.required:
                schema = schema | {"default": node.get(each.name, default_of(each))}
            properties[each.name] = schema
    return properties


def _value(schema: Schema) -> Schema:
    """A schema of values that lets references stand for them, and objects to be built."""
    if not schema:
        return {"if": BUILT, "then": NODE}
    if schema == OBJECT:
        return NODE
    if isinstance(schema.get("items"), dict):
        schema = schema | {"items": _value(schema["items"])}
    elif "items" in schema:
        schema = schema | {"items": [_value(each) for each in schema["items"]]}
    options = [_value(each) for each in schema["anyOf"]] if "anyOf" in schema else [schema]
    options = [each for option in options for each in option.get("anyOf", [option]) if each != REFERENCE]
    if {"type": "string"} not in options:
        options.append(REFERENCE)
    return options[0] if len(options) == 1 else {"anyOf": options}


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _signature_of(node: dict[str, Any]) -> Signature | None:
    try:
        return signature(str(node["_target_"])) if "_target_" in node else None
    except UserError:
        return None
