"""Terminal output of `trainer list` and `trainer describe`."""

import re
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trainer.config.introspection.group_options import Choice
from trainer.core.errors import display_path
from trainer.core.standard_streams import find_output_width

if TYPE_CHECKING:  # these take 0.2 s to import, and `trainer list` does not need them
    from trainer.config.introspection.experiments import Setting
    from trainer.config.introspection.fields import ConfigNode, Field

MAX_DOC_CHARACTERS = 240

MISSING_SUMMARY = "no description: the file does not start with a comment"


def print_renderables(*renderables: RenderableType) -> None:
    """Print in color, with the width of the terminal."""
    console = Console(width=find_output_width(), highlight=False)
    with console.capture() as output:
        console.print(*renderables, sep="\n")
    print("\n".join(line.rstrip() for line in output.get().splitlines()))


def render_groups(groups: dict[str, dict[str, Choice]], *, wrap: bool) -> list[RenderableType]:
    """Return groups and their choices, with the results of experiments.

    Args:
        groups: Choices by group and name.
        wrap: Whether long lines are wrapped instead of cut off.
    """
    renderables: list[RenderableType] = []
    for group, choices in groups.items():
        table = _create_grid()
        for choice in choices.values():
            prefix = f"(yours: {display_path(choice.file)}) " if choice.is_user_defined else ""
            summary = choice.summary or MISSING_SUMMARY
            table.add_row(Text(choice.name, style="bold"), _render_line(prefix + summary, "green" * bool(prefix), wrap))
            if "Reached" in choice.metadata:
                table.add_row("", _render_line(f"Reached: {choice.metadata['Reached']}", "dim", wrap))
        renderables += [Text(f"{group}=", style="bold cyan"), Padding(table, (0, 0, 0, 2))]
    return renderables


def _create_grid() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    return table


def _render_line(text: str, style: str, wrap: bool) -> Text:
    return Text(text, style=style) if wrap else Text(text, style=style, no_wrap=True, overflow="ellipsis")


def render_header(rows: dict[str, str]) -> RenderableType:
    """Return a table of names and non-empty texts."""
    table = _create_grid()
    for name, text in rows.items():
        if text:
            table.add_row(Text(name, style="bold"), Text(text))
    return table


def render_node(node: "ConfigNode") -> RenderableType:
    """Return an object and its fields; those that the file lists come first."""
    lines: list[RenderableType] = []
    if node.target:
        location = f"  ({display_path(node.file)}:{node.line})" if node.file else ""
        lines.append(Text("\n").append(node.target, style="bold cyan").append(location, style="dim"))
        lines.append(Text(node.summary if node.file else "No Python source found; these keys are in the YAML file."))
    if node.given:
        lines.append(Text(f"The run adds: {', '.join(node.given)}."))
    lines += [_render_field(field) for field in node.fields]
    return Group(*lines)


def render_settings(settings: list["Setting"]) -> RenderableType:
    """Return the values that an experiment sets, with the values that they replace."""
    lines: list[RenderableType] = [Text("\nSettings", style="bold cyan")]
    for setting in settings:
        default = "" if setting.default is None else f"without it: {format_override_value(setting.default)}"
        lines.append(_render_entry(setting.key, setting.value, default, _limit_sentences(setting.doc)))
    return Group(*lines)


def _render_field(field: "Field") -> RenderableType:
    limit = 0 if field.key.startswith("+") else MAX_DOC_CHARACTERS
    return _render_entry(field.key, field.default, field.type, _limit_sentences(field.doc, limit))


def _limit_sentences(text: str, limit: int = MAX_DOC_CHARACTERS) -> str:
    """Return the first sentence and those that fit into the limit; --json prints all."""
    first, *others = re.split(r"(?<=[^.]\.)\s+(?=[A-Z])", text)
    for sentence in others:
        if len(first) + len(sentence) > limit:
            break
        first += f" {sentence}"
    return first


def _render_entry(key: str, value: Any, note: str, doc: str) -> RenderableType:
    line = Text(key, style="bold").append(f"={format_override_value(value)}", style="not bold")
    line.append(f"   {note}" if note else "", style="not bold green")
    return Group(Padding(line, (0, 0, 0, 2)), *([Padding(Text(doc, style="dim"), (0, 0, 0, 6))] if doc else []))


def format_override_value(value: Any) -> str:
    """Return a value in the syntax of an override: `[32,64]`, `null`, `relu`."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list():
            return f"[{','.join(map(format_override_value, value))}]"
        case dict():
            return "{" + ", ".join(f"{name}: {format_override_value(item)}" for name, item in value.items()) + "}"
        case "":
            return '""'
    return str(value)
