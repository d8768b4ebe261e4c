"""Fields that can be set in a choice, with type, default and documentation."""

import ast
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config.introspection.group_options import Choice, get_group, parse_comments
from trainer.config.introspection.signatures import Parameter, Signature, signature
from trainer.config.introspection.type_schema import build_type_schema, format_type, list_allowed_values
from trainer.config.schema import GROUPS_TARGET, MODULE_PARTS
from trainer.core.errors import UserError

HYDRA_KEYS = ("_target_", "_partial_", "_convert_", "_recursive_", "_args_")
# arguments that training/run.py passes to Lightning's Trainer
RUNTIME_ARGUMENTS = {"pytorch_lightning.Trainer": {"callbacks", "logger", "default_root_dir"}}


@dataclass(frozen=True)
class Field:
    """Value that can be set.

    Args:
        key: Dotted key, `model.net.hidden`; with a leading `+` if the file does not list it.
        type: Type in plain words; "" if it is unknown.
        default: Value in the file, or else the default of the signature.
        allowed: All allowed values; None if they are not enumerated.
        packaged: Whether an argument of this package defines it instead of another package or the file alone.
        doc: Description from the docstring, or else the comment in the file.
    """

    key: str
    type: str
    default: Any
    allowed: list[Any] | None
    packaged: bool
    doc: str


@dataclass(frozen=True)
class ConfigNode:
    """Object that a choice builds, or a group of values outside of objects.

    Args:
        key: Dotted key of the node; "" for the root.
        target: Dotted path of the class or function; "" for values outside of objects.
        summary: Description of the target.
        file: Source file; None if it is unknown.
        line: Line in that file, from 1.
        given: Arguments that are passed at run time.
        fields: Fields that can be set.
    """

    key: str
    target: str
    summary: str
    file: Path | None
    line: int
    given: tuple[str, ...]
    fields: tuple[Field, ...]


def load_content(choice: Choice, visited: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of a choice and its comments, including those of the choices in its defaults list.

    Raises:
        UserError: The defaults list contains an unknown choice or the choice itself.
    """
    content = {**choice.content}
    comments = parse_comments(choice.text)
    base: dict[str, Any] = {}
    for name in [] if choice.is_global else content.pop("defaults", []):
        if name == "_self_" or not isinstance(name, str):
            continue
        group = get_group(choice.group)
        if name not in group or name in visited:
            raise UserError(f"{choice.file}: defaults: no {choice.group} '{name}'")
        values, base_comments = load_content(group[name], (*visited, choice.name))
        base |= values
        comments = base_comments | comments
    return base | content, comments


def describe_nodes(choice: Choice, names: Container[str] | None = None) -> list[ConfigNode]:
    """Return the objects that a choice builds, with all fields that can be set in them.

    Args:
        choice: Choice of a group whose files do not change the root config.
        names: Entries of the file to describe. Defaults to all.
    """
    content, comments = load_content(choice)
    if names is not None:
        content = {name: value for name, value in content.items() if name in names}
    return [*_iter_nodes(content, comments, "", "" if choice.is_global else choice.group)]


def _iter_nodes(node: dict[str, Any], comments: dict[str, str], path: str, prefix: str) -> Iterator[ConfigNode]:
    """Yield a node and the objects below it, outer ones first.

    Args:
        node: Node of the file.
        comments: Comments of the file by dotted key.
        path: Dotted key of the node within the file.
        prefix: Dotted key of the file within the config.
    """
    key = join_keys(prefix, path)
    node_comments = {name: comments.get(join_keys(path, name), "") for name in node}
    if "_target_" in node:
        yield describe_node(str(node["_target_"]), key, node, node_comments)
    else:
        values = [(name, value) for name, value in node.items() if not has_target(value)]
        fields = [Field(join_keys(key, name), "", value, None, False, node_comments[name]) for name, value in values]
        if fields:
            yield ConfigNode(key, "", "", None, 0, (), tuple(fields))
    for name, value in node.items():
        if has_target(value):
            yield from _iter_nodes(value, comments, join_keys(path, name), prefix)


def describe_node(target: str, key: str, node: dict[str, Any], comments: dict[str, str]) -> ConfigNode:
    """Return the description of a node with a target.

    Args:
        target: Dotted path.
        key: Dotted key of the node in the config.
        node: Values of the node.
        comments: Comments by name of the value.
    """
    try:
        source: Signature | None = signature(target)
    except UserError:  # only the file describes it
        source = None
    parameters = {parameter.name: parameter for parameter in source.parameters} if source else {}
    runtime = find_runtime_arguments(target, [*parameters.values()], node, is_module=key == "model")
    parameters |= {parameter.name: parameter for parameter in find_group_settings() if key == "optimizer"}
    fields = [
        describe_field(join_keys(key, name), parameters.get(name), value, comments[name])
        for name, value in node.items()
        if name not in HYDRA_KEYS and not has_target(value)
    ]
    for name, parameter in parameters.items():
        if name not in node and name not in runtime:
            fields.append(describe_field(f"+{join_keys(key, name)}", parameter, parse_default(parameter)))
    summary, file, line = (source.summary, source.file, source.line) if source else ("", None, 0)
    return ConfigNode(key, target, summary, file, line, runtime, tuple(fields))


def describe_target(target: str) -> ConfigNode:
    """Return the description of a class or function outside of a config.

    Raises:
        UserError: No Python file defines it.
    """
    source = signature(target)
    fields = [describe_field(parameter.name, parameter, parse_default(parameter)) for parameter in source.parameters]
    return ConfigNode("", target, source.summary, source.file, source.line, (), tuple(fields))


def find_group_settings() -> Iterator[Parameter]:
    """Yield the settings of parameter groups, which any node `optimizer` accepts."""
    for parameter in signature(GROUPS_TARGET).parameters:
        if parameter.name != "factory":
            yield parameter


def find_runtime_arguments(
    target: str, parameters: list[Parameter], node: dict[str, Any], *, is_module: bool = False
) -> tuple[str, ...]:
    """Return the arguments that are passed at run time, unless the node sets them.

    A partial node receives all required arguments, a LightningModule the required ones in `MODULE_PARTS`.
    """
    fixed = RUNTIME_ARGUMENTS.get(target, set())
    missing = [parameter.name for parameter in parameters if parameter.required and parameter.name not in node]
    added = [name for name in missing if node.get("_partial_") or (is_module and name in MODULE_PARTS)]
    return tuple(parameter.name for parameter in parameters if parameter.name in {*fixed, *added})


def describe_field(key: str, parameter: Parameter | None, default: Any, comment: str = "") -> Field:
    """Return a field with the type and documentation from signature and file.

    Args:
        key: Dotted key.
        parameter: Parameter of the signature; None if it is unknown.
        default: Value if none is set.
        comment: Comment in the file, which replaces the docstring of another package. Defaults to none.
    """
    schema = build_type_schema(parameter.annotation) if parameter else {}
    is_ours = is_packaged(parameter)
    docs = [comment, parameter.doc if parameter else ""]
    doc = next(filter(None, reversed(docs) if is_ours else docs), "")
    return Field(key, format_type(schema), default, list_allowed_values(schema), is_ours, doc)


def is_packaged(parameter: Parameter | None) -> bool:
    """Return whether a class or function of this package defines a parameter."""
    return parameter is not None and parameter.module.startswith("trainer.")


def parse_default(parameter: Parameter) -> Any:
    """Return the default as a value if it is a literal, else as Python text; `???` if there is none."""
    if parameter.default is None:
        return "???"
    try:
        value = ast.literal_eval(parameter.default)
    except (ValueError, SyntaxError):
        return parameter.default
    return [*value] if isinstance(value, tuple | set) else value


def has_target(value: Any) -> bool:
    """Return whether a value is or contains a node with a target."""
    return isinstance(value, dict) and ("_target_" in value or any(has_target(child) for child in value.values()))


def join_keys(*names: str) -> str:
    """Join the non-empty names with dots."""
    return ".".join(filter(None, names))
