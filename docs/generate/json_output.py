"""Generator of docs/reference/json.md: the documents that commands print with `--json`, from their types."""

import runpy
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import griffe

from trainer.cli.commands import list_commands
from trainer.config.introspection.docstrings import get_argument_docs, get_inherited_docs, get_summary
from trainer.config.introspection.source_lookup import locate

REFERENCE = runpy.run_path(str(Path(__file__).with_name("reference.py")))
DIRECTORY, NOTE, render_table, format_text = (
    REFERENCE[name] for name in ("DIRECTORY", "NOTE", "_render_table", "_format_text")
)
INTRODUCTION = (
    "`--json` prints exactly one JSON document to standard output, in UTF-8. Everything else, such as log lines, "
    "progress and texts that your own code prints, goes to standard error. After an error standard output is empty. "
    "Numbers that are not finite are null. [For programs and agents](../programs.md) describes exit statuses."
)
JSON_NAMES: dict[Any, str] = {
    Any: "any",
    NoneType: "null",
    Path: "string",
    bool: "boolean",
    float: "number",
    int: "integer",
    str: "string",
}


def render_page() -> str:
    """Return the content of the page."""
    documents: dict[str, tuple[Any, str]] = {}
    for command in list_commands():
        documents |= getattr(import_module(f"trainer.cli.commands.{command}"), "JSON_OUTPUTS", {})
    rows = [[f"`trainer {name}`", format_type(kind), format_text(text)] for name, (kind, text) in documents.items()]
    parts = ["# JSON output", NOTE, INTRODUCTION, render_table(["command", "document", "meaning"], rows), "## Objects"]
    classes = {cls.__name__: cls for kind, _ in documents.values() for cls in iter_classes(kind)}
    for name in sorted(classes):
        parts += render_class(classes[name])
    return "\n\n".join(parts) + "\n"


def iter_classes(kind: Any) -> Iterator[type]:
    """Yield the dataclasses in a type, and in the types of their fields."""
    if is_dataclass(kind) and isinstance(kind, type):
        yield kind
        for field in get_type_hints(kind).values():
            yield from iter_classes(field)
    for argument in get_args(kind):
        yield from iter_classes(argument)


def render_class(cls: type) -> list[str]:
    """Return the section of a dataclass: its summary and its fields."""
    member = locate(f"{cls.__module__}.{cls.__name__}")
    assert isinstance(member, griffe.Class)
    hints = get_type_hints(cls)
    docs = get_inherited_docs(member, hints) | get_argument_docs(member)
    texts = {name: format_text(docs[name]).replace("None", "null") for name in hints}
    rows = [[f"`{name}`", format_type(kind), texts[name]] for name, kind in hints.items()]
    return [f"### {cls.__name__}", format_text(get_summary(member)), render_table(["field", "type", "meaning"], rows)]


def format_type(kind: Any) -> str:
    """Return a type in the terms of JSON, with links to objects."""
    arguments = get_args(kind)
    if isinstance(kind, UnionType):
        return " or ".join(map(format_type, arguments))
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if get_origin(kind) is dict:
        return f"object, each value: {format_type(arguments[1])}"
    if get_origin(kind) is tuple and arguments[-1] is not Ellipsis:
        return f"list of {len(arguments)}: {', '.join(map(format_type, arguments))}"
    if get_origin(kind) in (list, tuple):
        return f"list of {format_type(arguments[0])}"
    return f"[{kind.__name__}](#{kind.__name__.lower()})" if is_dataclass(kind) else JSON_NAMES[kind]


def main() -> None:
    """Write the page."""
    (DIRECTORY / "json.md").write_text(render_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
