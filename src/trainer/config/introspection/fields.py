"""Fields: what can be set in a choice, with type, default and documentation."""

import ast
from collections.abc import Container, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer.config.introspection.group_options import Choice, comments_of, group_named
from trainer.config.introspection.signatures import Parameter, Signature, signature
from trainer.config.introspection.type_schema import allowed, in_words, schema_of
from trainer.core.errors import UserError

OF_HYDRA = ("_target_", "_partial_", "_convert_", "_recursive_", "_args_")
# what run.py itself gives to Lightning's Trainer
GIVEN = {"pytorch_lightning.Trainer": {"callbacks", "logger", "default_root_dir"}}


@dataclass(frozen=True)
class Field:
    """A value that can be set.

    Args:
        key: As it is typed, `model.net.hidden`; with a `+` before it where the file does not list it.
        type: In a user's words; "" where nothing is known of it.
        default: Of the file; else of the signature.
        allowed: All values it may have, where only some are allowed.
        doc: What the docstring says, else the comment in the file.
    """

    key: str
    type: str
    default: Any
    allowed: list[Any] | None
    doc: str


@dataclass(frozen=True)
class Part:
    """An object that a choice builds, or the values beside them.

    Args:
        key: Where it stands in the config; "" at the top.
        target: Dotted path of what builds it; "" for values that belong to no object.
        summary: What it is.
        file: Of its source; None where that is unknown.
        line: Where in that file, from 1.
        given: Arguments that the run adds.
        fields: What can be set.
    """

    key: str
    target: str
    summary: str
    file: Path | None
    line: int
    given: tuple[str, ...]
    fields: tuple[Field, ...]

    def as_json(self) -> dict[str, Any]:
        """In plain values."""
        return asdict(self) | {"file": str(self.file) if self.file else None}


def content_of(choice: Choice, seen: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of a choice, and the comments behind them, with those of the choices that its defaults list names.

    Raises:
        UserError: The list names none of its group, or itself.
    """
    content, comments = {**choice.content}, comments_of(choice.text)
    base: dict[str, Any] = {}
    for other in [] if choice.is_global else content.pop("defaults", []):
        if other == "_self_" or not isinstance(other, str):
            continue
        group = group_named(choice.group)
        if other not in group or other in seen:
            raise UserError(f"{choice.file}: defaults: no {choice.group} '{other}'")
        values, said = content_of(group[other], (*seen, choice.name))
        base, comments = base | values, said | comments
    return base | content, comments


def parts_of(choice: Choice, names: Container[str] | None = None) -> list[Part]:
    """What a choice builds, and all that can be set in it.

    Args:
        choice: Any, but for one that changes keys of all kinds.
        names: Only these entries of its file; None takes all.
    """
    content, comments = content_of(choice)
    if names is not None:
        content = {name: value for name, value in content.items() if name in names}
    return [*_parts(content, comments, "", "" if choice.is_global else choice.group)]


def _parts(node: dict[str, Any], comments: dict[str, str], path: str, prefix: str) -> Iterator[Part]:
    """The parts at a node and below it, the outer ones first.

    Args:
        node: Of the file.
        comments: Of the file, by dotted key.
        path: Of the node within the file.
        prefix: Key under which the file is placed.
    """
    key = dotted(prefix, path)
    said = {name: comments.get(dotted(path, name), "") for name in node}
    if "_target_" in node:
        yield part_of(str(node["_target_"]), key, node, said)
    else:
        values = [(name, value) for name, value in node.items() if not has_target(value)]
        fields = [Field(dotted(key, name), "", value, None, said[name]) for name, value in values]
        if fields:
            yield Part(key, "", "", None, 0, (), tuple(fields))
    for name, value in node.items():
        if has_target(value):
            yield from _parts(value, comments, dotted(path, name), prefix)


def part_of(target: str, key: str, node: dict[str, Any], said: dict[str, str]) -> Part:
    """What can be given to the target of a node.

    Args:
        target: Dotted path.
        key: Where the node stands in a config.
        node: Its values.
        said: The comments behind its keys.
    """
    try:
        told: Signature | None = signature(target)
    except UserError:  # nothing is known but what the file says
        told = None
    known = {parameter.name: parameter for parameter in told.parameters} if told else {}
    given = given_by_the_run(target, [*known.values()], node)
    fields = [
        field_of(dotted(key, name), known.get(name), value, said[name], ours=target.startswith("trainer."))
        for name, value in node.items()
        if name not in OF_HYDRA and not has_target(value)
    ]
    for name, parameter in known.items():
        if name not in node and name not in given:
            fields.append(field_of(f"+{dotted(key, name)}", parameter, default_of(parameter)))
    summary, file, line = (told.summary, told.file, told.line) if told else ("", None, 0)
    return Part(key, target, summary, file, line, given, tuple(fields))


def part_alone(target: str) -> Part:
    """What can be given to a target that stands in no config.

    Raises:
        UserError: There is nothing of that name, or no Python file that tells of it.
    """
    told = signature(target)
    fields = [field_of(each.name, each, default_of(each)) for each in told.parameters]
    return Part("", target, told.summary, told.file, told.line, (), tuple(fields))


def given_by_the_run(target: str, parameters: list[Parameter], node: dict[str, Any]) -> tuple[str, ...]:
    """Names of the arguments that the run adds: of a partial node those that must be given and stand nowhere."""
    fixed = GIVEN.get(target, set())
    partial = bool(node.get("_partial_"))
    return tuple(p.name for p in parameters if p.name in fixed or (partial and p.required and p.name not in node))


def field_of(key: str, parameter: Parameter | None, default: Any, comment: str = "", *, ours: bool = False) -> Field:
    """A field, from what the signature and the file say of it.

    Args:
        key: As it is typed.
        parameter: What the signature says.
        default: Its value where nothing is typed.
        comment: What the file says.
        ours: Whether the docstring is written for this use; that of somebody else's class comes after the comment.
    """
    schema = schema_of(parameter.annotation) if parameter else {}
    doc = parameter.doc if parameter else ""
    return Field(key, in_words(schema), default, allowed(schema), (doc or comment) if ours else (comment or doc))


def default_of(parameter: Parameter) -> Any:
    """The default as a value where it is a literal, as Python text where it is not; `???` where there is none."""
    if parameter.default is None:
        return "???"
    try:
        value = ast.literal_eval(parameter.default)
    except (ValueError, SyntaxError):
        return parameter.default
    return [*value] if isinstance(value, tuple | set) else value


def has_target(value: Any) -> bool:
    """Whether a value is, or holds, an object to be built."""
    return isinstance(value, dict) and ("_target_" in value or any(has_target(each) for each in value.values()))


def dotted(*names: str) -> str:
    """One key of several, the empty ones left out."""
    return ".".join(name for name in names if name)
