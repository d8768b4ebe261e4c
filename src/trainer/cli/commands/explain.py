"""Say where a value comes from: every file and word that set it, and which of them holds.

trainer explain KEY [WORDS...] [--json]     e.g. trainer explain optimizer.lr experiment=mnist_cnn

KEY is dotted; of a group, such as `optimizer`, every value in it is shown. WORDS are what would stand behind `trainer`.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig, OmegaConf
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trainer.cli.commands import as_typed
from trainer.config.compose import Composer
from trainer.config.value_sources import Entry, history
from trainer.core.errors import UserError, did_you_mean


def main(words: list[str]) -> int:
    """Explain the key that stands behind `explain`; the exit status is 0."""
    options = get_args_parser().parse_args([word for word in words if word != "--json"])
    if not options.overrides or "=" in options.overrides[0]:
        raise UserError("explain: name a key first, e.g. trainer explain optimizer.lr experiment=mnist_cnn")
    key, *typed = options.overrides
    composer = Composer(options.config_dir)
    config, layers = composer.config_of(typed), composer.layers(typed)
    said = {leaf: (value, history(layers, leaf)) for leaf, value in leaves(config, key)}
    for _, entries in [*said.values()]:  # what they refer to
        if entries and (reference := re.fullmatch(r"\$\{([\w.]+)\}", entries[-1].value)):
            for leaf, value in leaves(config, reference[1]):
                said.setdefault(leaf, (value, history(layers, leaf)))
    if "--json" in words:
        print(json.dumps({leaf: _as_dict(value, entries) for leaf, (value, entries) in said.items()}, indent=2))
    else:
        Console().print(_table(said))
    return 0


def leaves(config: DictConfig, key: str) -> Iterator[tuple[str, Any]]:
    """(dotted key, value with its references filled in) of a key, or of everything in it.

    Raises:
        UserError: There is no such key.
    """
    parent, name = config, ""
    for step in key.split("."):
        known = [str(each) for each in parent if each != "hydra"] if isinstance(parent, DictConfig) else []
        if step not in known and not (isinstance(parent, DictConfig) and step in parent):
            raise UserError(f"explain: no key '{key}'{did_you_mean(step, known)}")
        name, parent = f"{name}.{step}".strip("."), OmegaConf.select(config, f"{name}.{step}".strip("."))
    yield from _below(parent, key)


def _below(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, DictConfig) and len(node):
        for name in node:
            yield from _below(node.get(name) if not OmegaConf.is_missing(node, name) else "???", f"{key}.{name!s}")
    else:
        yield key, OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def _as_dict(value: Any, entries: list[Entry]) -> dict[str, Any]:
    said = [
        {"value": each.value, "file": each.place.text if each.place.line else None, "line": each.place.line or None}
        | ({} if each.place.line else {"typed": each.place.text})
        for each in entries
    ]
    return {"value": value, "set_by": said}


def _table(said: dict[str, tuple[Any, list[Entry]]]) -> Table:
    """Each key with its value, and below it who said what, the last word last."""
    table = Table("key", "value", "set by", box=SIMPLE_HEAD)
    for key, (value, entries) in said.items():
        for number, entry in enumerate(entries):
            holds = number == len(entries) - 1
            style = "" if holds else "dim"
            where = (
                f"{entry.place.text}:{entry.place.line}" if entry.place.line else f"command line: {entry.place.text}"
            )
            shown = entry.value if not holds or entry.value == str(value) else f"{as_typed(value)}"
            if holds and "${" in entry.value:
                shown += f"   from {entry.value}"
            table.add_row(
                Text(key if number == 0 else "", overflow="fold"),
                Text(shown, style, overflow="fold"),
                Text(where, style, overflow="fold"),
            )
        if not entries:
            table.add_row(Text(key), Text(as_typed(value)), Text("Hydra"))
    return table
