"""Origin: where each value of a config was written, file and line, and which word was the last. Imports no torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigSource
from hydra.types import RunMode

from trainer.config.diagnostics import Place
from trainer.config.multirun import unresolved
from trainer.config.schema import HOME, ExperimentSource
from trainer.core.errors import shown

CHOICE = "defaults/"  # before a group, among the keys of a file


@dataclass(frozen=True)
class Entry:
    """One value as it was written.

    Args:
        key: Dotted, from the root of the config.
        value: Its text; "" for a mapping, whose values are entries of their own.
        place: Where it stands.
        choice: Whether it names a file of a group, and is no value itself.
    """

    key: str
    value: str
    place: Place
    choice: bool = False


@dataclass(frozen=True)
class Layer:
    """What one file, or one word of the command line, puts into a config; later layers win.

    Args:
        entries: By dotted key.
    """

    entries: dict[str, Entry] = field(default_factory=dict)


def layers(loader: ConfigLoader, overrides: Sequence[str]) -> list[Layer]:
    """All that a config is composed of, in the order it is merged in.

    Args:
        loader: Hydra's, which knows where to look.
        overrides: The words of the command line.
    """
    found = loader.compute_defaults_list("config", [*overrides], RunMode.RUN)
    made = []
    for default in found.defaults:
        file = file_of(loader.get_sources(), default.config_path or "")
        if file:
            made.append(Layer(_entries_of(file, default.package or "")))
    changes: list[Override] = found.config_overrides
    values = [change.input_line for change in changes]
    chosen = [each for each in OverridesParser.create().parse_overrides([*overrides]) if each.input_line not in values]
    return made + [Layer(_entries_of_override(each, each in chosen)) for each in [*chosen, *changes]]


def layers_of_this_run() -> list[Layer]:
    """What the config of the run under way is composed of; nothing where Hydra does not know of one."""
    if not (GlobalHydra.instance().is_initialized() and HydraConfig.initialized()):
        return []
    words = HydraConfig.get().overrides
    return layers(GlobalHydra.instance().config_loader(), [*unresolved(words.hydra), *unresolved(words.task)])


def history(made: Sequence[Layer], key: str) -> list[Entry]:
    """Every word that was said about a key, the last of which holds; a word about its parent is one about it.

    Args:
        made: As `layers` gives them.
        key: Dotted.
    """
    parents = [key]
    while "." in parents[-1]:
        parents.append(parents[-1].rpartition(".")[0])
    said = []
    for layer in made:
        entry = next((layer.entries[name] for name in parents if name in layer.entries), None)
        if entry and (entry.key == key or entry.value) and not entry.choice:  # a mapping says nothing of what is in it
            said.append(entry)
    return said


def place_of(made: Sequence[Layer], key: str) -> Place | None:
    """Where the last word on a key stands, or on what lies in it, or else on the nearest key around it.

    Returns:
        Place | None: None where nothing was written.
    """
    key = key.partition("[")[0]  # a list is written as a whole
    while key:
        for layer in reversed(made):
            inner = next((name for name in layer.entries if name == key or name.startswith(f"{key}.")), None)
            if inner:
                return layer.entries[inner].place
        key = key.rpartition(".")[0]
    return None


def written_by_user(made: Sequence[Layer], parent: str) -> list[Entry]:
    """Return the last value or choice of each key at `parent` and below it that is not written in a packaged file.

    Of a file with several such keys there is one entry, with `parent` as its key.

    Args:
        made: As `layers` gives them.
        parent: Dotted, e.g. `"optimizer"`.
    """
    found: dict[str, Entry] = {}
    for layer in made:
        entries = [
            entry
            for key, entry in layer.entries.items()
            if f"{key}.".startswith(f"{parent}.") and (entry.value or entry.choice) and not _is_packaged(entry.place)
        ]
        if entries:
            entry = entries[0] if len(entries) == 1 else replace(entries[0], key=parent)
            found[entry.key] = entry
    return [*found.values()]


def _is_packaged(place: Place) -> bool:
    file = Path(place.text).resolve()
    return bool(place.line) and any(file.is_relative_to(HOME / folder) for folder in ("conf", "experiments"))


def file_of(sources: Sequence[ConfigSource], name: str) -> Path | None:
    """The YAML file of a config such as `model/cnn`: from the first folder that has it, as Hydra takes it."""
    for source in sources:
        if source.scheme() in ("file", ExperimentSource.scheme()) and source.available() and source.is_config(name):
            recipe = source.scheme() == ExperimentSource.scheme()
            return Path(source.path, f"{name.removeprefix('experiment/') if recipe else name}.yaml")
    return None


@cache
def _read(file: Path) -> list[tuple[str, str, int]]:
    """(dotted key, text of its value, line) of everything in a YAML file; nothing where it is no YAML."""
    text = file.read_text("utf-8", errors="replace")
    try:
        return [*_walk(yaml.compose(text, yaml.SafeLoader), "", text)]
    except yaml.YAMLError:
        return []


def _walk(node: Any, key: str, text: str) -> Iterator[tuple[str, str, int]]:
    for name, child in node.value if isinstance(node, yaml.MappingNode) else ():
        inner = f"{key}.{name.value}" if key else str(name.value)
        if inner == "defaults":
            for item in child.value if isinstance(child, yaml.SequenceNode) else ():
                for choice, chosen in item.value if isinstance(item, yaml.MappingNode) else ():
                    group = choice.value.split()[-1].strip("/")
                    yield (
                        f"{CHOICE}{group}",
                        text[chosen.start_mark.index : chosen.end_mark.index],
                        choice.start_mark.line,
                    )
            continue
        nested = isinstance(child, yaml.MappingNode) and child.value
        yield inner, "" if nested else text[child.start_mark.index : child.end_mark.index].strip(), name.start_mark.line
        yield from _walk(child, inner, text)


def _entries_of(file: Path, package: str) -> dict[str, Entry]:
    before = f"{package}." if package not in ("", "_global_") else ""
    made = {}
    for key, value, line in _read(file):
        name = key.removeprefix(CHOICE) if key.startswith(CHOICE) else f"{before}{key}"
        made[name] = Entry(name, value, Place(shown(file), line + 1), choice=key.startswith(CHOICE))
    return made


def _entries_of_override(change: Override, chosen: bool) -> dict[str, Entry]:
    key, typed = change.key_or_group, Place(change.input_line or "")
    if chosen:
        return {key: Entry(key, change.get_value_element_as_str(), typed, choice=True)}
    if change.is_delete():
        return {key: Entry(key, "deleted", typed)}
    value = change.value()
    entries = {key: Entry(key, change.get_value_element_as_str(), typed)}
    if isinstance(value, dict):
        entries = {key: Entry(key, "", typed)} | {
            f"{key}.{inner}": Entry(f"{key}.{inner}", str(leaf), typed) for inner, leaf in _leaves(value)
        }
    return entries


def _leaves(value: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    for name, child in value.items():
        if isinstance(child, dict) and child:
            yield from ((f"{name}.{inner}", leaf) for inner, leaf in _leaves(child))
        else:
            yield str(name), child
