"""What `trainer list` and `trainer describe` print, as wide as the terminal."""

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trainer.config.introspection.group_options import Choice
from trainer.core.errors import shown

if TYPE_CHECKING:  # what reads Python files takes a fifth of a second to import, and a list needs none of it
    from trainer.config.introspection.experiments import Setting
    from trainer.config.introspection.fields import Field, Part

UNBOUNDED = 2000  # columns, for a file or a pipe: each text is one line there, which grep finds whole

UNSAID = "its file does not begin with a comment that says what it is"


def show(*things: RenderableType) -> None:
    """Print, in colour and as wide as it is in a terminal."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else UNBOUNDED
    console = Console(width=width, highlight=False)
    with console.capture() as printed:
        console.print(*things, sep="\n")
    print("\n".join(line.rstrip() for line in printed.get().splitlines()))


def show_json(value: Any) -> None:
    """Print plain values for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def listed(groups: dict[str, dict[str, Choice]], *, whole: bool) -> list[RenderableType]:
    """Groups and their choices, with what experiments reached.

    Args:
        groups: By name.
        whole: Whether what is longer than a line goes on in the next; else it is cut.
    """
    made: list[RenderableType] = []
    for group, members in groups.items():
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column()
        for choice in members.values():
            yours = f"(yours: {shown(choice.file)}) " if choice.yours else ""
            summary = choice.summary or UNSAID
            table.add_row(Text(choice.name, style="bold"), _cut(yours + summary, "green" if yours else "", whole))
            if "Reached" in choice.claims:
                table.add_row("", _cut(f"Reached: {choice.claims['Reached']}", "dim", whole))
        made += [Text(f"{group}=", style="bold cyan"), Padding(table, (0, 0, 0, 2))]
    return made


def _cut(text: str, style: str, whole: bool) -> Text:
    return Text(text, style=style) if whole else Text(text, style=style, no_wrap=True, overflow="ellipsis")


def head(rows: dict[str, str]) -> RenderableType:
    """What there is to say of the whole: a word, and a text behind it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, text in rows.items():
        if text:
            table.add_row(Text(name, style="bold"), Text(text))
    return table


def part(each: "Part") -> RenderableType:
    """An object, and all that can be set in it: first what the file lists."""
    lines: list[RenderableType] = []
    if each.target:
        place = f"  ({shown(each.file)}:{each.line})" if each.file else ""
        lines.append(Text("\n").append(each.target, style="bold cyan").append(place, style="dim"))
        lines.append(
            Text(each.summary if each.file else "No Python file tells of it: here is what the YAML file lists.")
        )
    if each.given:
        lines.append(Text(f"The run adds: {', '.join(each.given)}."))
    lines += [_field(field) for field in each.fields]
    return Group(*lines)


def settings(each: list["Setting"]) -> RenderableType:
    """What a recipe sets, and what it would be without."""
    lines: list[RenderableType] = [Text("\nIt sets", style="bold cyan")]
    for setting in each:
        without = "" if setting.default is None else f"without it: {value(setting.default)}"
        lines.append(_entry(setting.key, setting.value, without, _sentences(setting.doc, 240)))
    return Group(*lines)


def _field(field: "Field") -> RenderableType:
    return _entry(field.key, field.default, field.type, _sentences(field.doc, 0 if field.key.startswith("+") else 240))


def _sentences(text: str, limit: int) -> str:
    """As many whole sentences as fit into so many characters, and at least one; --json has them all."""
    first, *others = re.split(r"(?<=[^.]\.)\s+(?=[A-Z])", text)
    for sentence in others:
        if len(first) + len(sentence) > limit:
            break
        first += f" {sentence}"
    return first


def _entry(key: str, its_value: Any, beside: str, doc: str) -> RenderableType:
    line = Text(key, style="bold").append(f"={value(its_value)}", style="not bold")
    line.append(f"   {beside}" if beside else "", style="not bold green")
    return Group(Padding(line, (0, 0, 0, 2)), *([Padding(Text(doc, style="dim"), (0, 0, 0, 6))] if doc else []))


def value(it: Any) -> str:
    """A value as one types it: `[32,64]`, `null`, `relu`."""
    match it:
        case None:
            return "null"
        case bool():
            return str(it).lower()
        case list():
            return f"[{','.join(map(value, it))}]"
        case dict():
            return "{" + ", ".join(f"{name}: {value(each)}" for name, each in it.items()) + "}"
        case "":
            return '""'
    return str(it)
