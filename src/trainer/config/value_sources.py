"""Source file and line, or override, of each value of a config. Imports no torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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

from trainer.config.diagnostics import SourceLocation
from trainer.config.multirun import get_raw_overrides
from trainer.config.schema import RESOURCE_DIR, ExperimentSource
from trainer.config.stored_config import RECORDED_CONFIG
from trainer.core.errors import display_path
from trainer.core.mappings import flatten

DEFAULTS_PREFIX = "defaults/"  # prefix of a group among the keys of a file


@dataclass(frozen=True)
class Entry:
    """Value of a key in one layer.

    Args:
        key: Dotted key from the root of the config.
        value: Source text; "" for a mapping, whose values have entries of their own.
        location: File and line, or override.
        is_choice: Whether the entry chooses a file of a group instead of setting a value. Defaults to false.
    """

    key: str
    value: str
    location: SourceLocation
    is_choice: bool = False


Layer = dict[str, Entry]  # values that one file or override adds to a config, by dotted key


def load_layers(loader: ConfigLoader, overrides: Sequence[str], name: str = "config") -> list[Layer]:
    """Return the layers of a config, in the order in which Hydra merges them.

    Args:
        loader: Hydra's config loader.
        overrides: Overrides of the command line.
        name: Primary config. Values of one that is not in a file, such as that of a checkpoint, have no entries.
    """
    defaults_list = loader.compute_defaults_list(name, [*overrides], RunMode.RUN)
    layers = []
    for default in defaults_list.defaults:
        file = find_config_file(loader.get_sources(), default.config_path or "")
        if file:
            layers.append(_load_file_entries(file, default.package or ""))
    values: list[Override] = defaults_list.config_overrides
    lines = [value.input_line for value in values]
    parsed = OverridesParser.create().parse_overrides([*overrides])
    layers += [_build_override_entries(item, True) for item in parsed if item.input_line not in lines]
    return layers + [_build_override_entries(value, False) for value in values]


def load_current_run_layers() -> list[Layer]:
    """Return the layers of the current run's config; none if Hydra is not initialized."""
    if not (GlobalHydra.instance().is_initialized() and HydraConfig.initialized()):
        return []
    hydra = HydraConfig.get()
    overrides = [*get_raw_overrides(hydra.overrides.hydra), *get_raw_overrides(hydra.overrides.task)]
    return load_layers(GlobalHydra.instance().config_loader(), overrides, hydra.job.config_name or "config")


def find_entries(layers: Sequence[Layer], key: str) -> list[Entry]:
    """Return every entry that sets a key or one of its parents; the last one takes effect.

    Args:
        layers: Layers of the config.
        key: Dotted key.
    """
    path = [key]
    while "." in path[-1]:
        path.append(path[-1].rpartition(".")[0])
    entries = []
    for layer in layers:
        entry = next((layer[name] for name in path if name in layer), None)
        if entry and (entry.key == key or entry.value) and not entry.is_choice:  # a mapping does not set its children
            entries.append(entry)
    return entries


def find_location(layers: Sequence[Layer], key: str) -> SourceLocation | None:
    """Return the location of the last entry of a key or its children, or else of its nearest parent; None without one.

    Args:
        layers: Layers of the config.
        key: Dotted key; an index of a list is ignored.
    """
    key = key.partition("[")[0]
    while key:
        for layer in reversed(layers):
            name = next((name for name in layer if name == key or name.startswith(f"{key}.")), None)
            if name:
                return layer[name].location
        key = key.rpartition(".")[0]
    return None


def find_user_entries(layers: Sequence[Layer], parent: str) -> list[Entry]:
    """Return the last value or choice of each key at or below `parent` that the user has set.

    Values of packaged files and of a recorded config are defaults.

    A file with several such keys has one entry, with `parent` as its key.

    Args:
        layers: Layers of the config.
        parent: Dotted key, e.g. `"optimizer"`.
    """
    last: dict[str, Entry] = {}
    for layer in layers:
        entries = [
            entry
            for key, entry in layer.items()
            if f"{key}.".startswith(f"{parent}.")
            and (entry.value or entry.is_choice)
            and not _is_default(entry.location)
        ]
        if entries:
            entry = entries[0] if len(entries) == 1 else replace(entries[0], key=parent)
            last[entry.key] = entry
    return [*last.values()]


def _is_default(location: SourceLocation) -> bool:
    file = Path(location.text).resolve()
    if file.name == RECORDED_CONFIG:
        return True
    return bool(location.line) and any(file.is_relative_to(RESOURCE_DIR / name) for name in ("conf", "experiments"))


def find_config_file(sources: Sequence[ConfigSource], name: str) -> Path | None:
    """Return the YAML file of a config such as `model/cnn` from the first source that has it, as Hydra does."""
    for source in sources:
        if source.scheme() in ("file", ExperimentSource.scheme()) and source.available() and source.is_config(name):
            is_experiment = source.scheme() == ExperimentSource.scheme()
            return Path(source.path, f"{name.removeprefix('experiment/') if is_experiment else name}.yaml")
    return None


@cache
def _read_yaml(file: Path) -> list[tuple[str, str, int]]:
    """Return (dotted key, text of the value, line) of each key of a YAML file; nothing if it is invalid."""
    text = file.read_text("utf-8", errors="replace")
    try:
        return [*_iter_yaml(yaml.compose(text, yaml.SafeLoader), "", text)]
    except yaml.YAMLError:
        return []


def _iter_yaml(node: Any, parent: str, text: str) -> Iterator[tuple[str, str, int]]:
    for name, child in node.value if isinstance(node, yaml.MappingNode) else ():
        key = f"{parent}.{name.value}" if parent else str(name.value)
        source = text[child.start_mark.index : child.end_mark.index].strip()
        if key == "defaults":
            for item in child.value if isinstance(child, yaml.SequenceNode) else ():
                for group, choice in item.value if isinstance(item, yaml.MappingNode) else ():
                    group_name = group.value.split()[-1].strip("/")
                    source = text[choice.start_mark.index : choice.end_mark.index]
                    yield f"{DEFAULTS_PREFIX}{group_name}", source, group.start_mark.line
            continue
        yield key, "" if isinstance(child, yaml.MappingNode) and child.value else source, name.start_mark.line
        yield from _iter_yaml(child, key, text)


def _load_file_entries(file: Path, package: str) -> Layer:
    prefix = f"{package}." if package not in ("", "_global_") else ""
    entries = {}
    for name, value, line in _read_yaml(file):
        is_choice = name.startswith(DEFAULTS_PREFIX)
        key = name.removeprefix(DEFAULTS_PREFIX) if is_choice else f"{prefix}{name}"
        entries[key] = Entry(key, value, SourceLocation(display_path(file), line + 1), is_choice)
    return entries


def _build_override_entries(override: Override, is_choice: bool) -> Layer:
    key = override.key_or_group
    location = SourceLocation(override.input_line or "")
    if override.is_delete() and not is_choice:
        return {key: Entry(key, "deleted", location)}
    value = None if is_choice else override.value()
    if isinstance(value, dict):
        leaves = {name: str(leaf) for name, leaf in flatten(value, key).items()}
        return {name: Entry(name, text, location) for name, text in {key: "", **leaves}.items()}
    return {key: Entry(key, override.get_value_element_as_str(), location, is_choice)}
