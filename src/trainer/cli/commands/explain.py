"""Explain a value of the config: every file and override that sets it, the effective one last.

trainer explain KEY [OVERRIDES...] [--json]     e.g. trainer explain optimizer.lr experiment=mnist_cnn

KEY is a dotted key; a group such as `optimizer` shows every value in it. OVERRIDES are the arguments of `trainer`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.text import Text

from trainer.cli.commands import format_value, parse_arguments, print_table
from trainer.cli.json_output import JsonOutputs, print_json
from trainer.config.compose import Composer
from trainer.config.value_sources import Entry, find_entries
from trainer.core.errors import UserError, did_you_mean
from trainer.core.formatting import quote_argument

Sources = dict[str, tuple[Any, list[Entry]]]  # value and entries by dotted key


@dataclass(frozen=True)
class ValueSource:
    """A file or an override that sets a value.

    Args:
        value: Text in the file or the override.
        file: Path of the file; null for an override.
        line: Line of the file, from 1.
        override: The override; null for a file.
    """

    value: str
    file: str | None
    line: int | None
    override: str | None


@dataclass(frozen=True)
class ExplainedValue:
    """A value of the config.

    Args:
        value: Value with all interpolations resolved.
        set_by: Everything that sets it, the effective one last; empty if Hydra sets it.
    """

    value: Any
    set_by: list[ValueSource]


JSON_OUTPUTS: JsonOutputs = {"explain": (dict[str, ExplainedValue], "Values by dotted key.")}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    args = parse_arguments("explain", argv, "key", "overrides*", config_dir=None, json=False)
    for argument in (args.key, *args.overrides):
        if (Path(argument) / "config.yaml").is_file():
            hint = f"compare the run with an experiment: trainer diff {quote_argument(argument)} NAME"
            raise UserError(f"explain: '{argument}' is a run directory; expected KEY and overrides; {hint}")
    composer = Composer(args.config_dir)
    config = composer.compose_checked(args.overrides)
    layers = composer.load_layers(args.overrides)
    sources = {leaf: (value, find_entries(layers, leaf)) for leaf, value in iter_leaves(config, args.key)}
    for _, entries in [*sources.values()]:  # also the values that they refer to
        if entries and (reference := re.fullmatch(r"\$\{([\w.]+)\}", entries[-1].value)):
            for leaf, value in iter_leaves(config, reference[1]):
                sources.setdefault(leaf, (value, find_entries(layers, leaf)))
    if args.json:
        print_json({leaf: explain_value(value, entries) for leaf, (value, entries) in sources.items()})
    else:
        print_table(["key", "value", "set by"], _iter_rows(sources))
    return 0


def iter_leaves(config: DictConfig, key: str) -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, resolved value) of a key or of each key below it.

    Raises:
        UserError: The key does not exist.
    """
    parent = config
    path = ""
    for name in key.split("."):
        names = [str(child) for child in parent if child != "hydra"] if isinstance(parent, DictConfig) else []
        if name not in names and not (isinstance(parent, DictConfig) and name in parent):
            raise UserError(f"explain: no key '{key}'{did_you_mean(name, names)}")
        path = f"{path}.{name}".strip(".")
        parent = OmegaConf.select(config, path)
    yield from _iter_node_leaves(parent, key)


def _iter_node_leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, DictConfig) and len(node):
        for name in node:
            child = "???" if OmegaConf.is_missing(node, name) else node.get(name)
            yield from _iter_node_leaves(child, f"{key}.{name!s}")
    else:
        yield key, OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def explain_value(value: Any, entries: list[Entry]) -> ExplainedValue:
    """Return a value with the entries that set it."""
    locations = [(entry.value, entry.location) for entry in entries]
    return ExplainedValue(value, [ValueSource(text, at.file, at.line or None, at.override) for text, at in locations])


def _iter_rows(sources: Sources) -> Iterator[tuple[str | Text, ...]]:
    """Yield each key with its value, followed by the entries that set it, the effective one last."""
    for key, (value, entries) in sources.items():
        for index, entry in enumerate(entries):
            is_effective = index == len(entries) - 1
            style = "" if is_effective else "dim"
            text = format_value(value) if is_effective and entry.value != str(value) else entry.value
            if is_effective and "${" in entry.value:
                text += f"   from {entry.value}"
            yield "" if index else key, Text(text, style), Text(str(entry.location).removeprefix("in "), style)
        if not entries:
            yield key, format_value(value), "Hydra"
