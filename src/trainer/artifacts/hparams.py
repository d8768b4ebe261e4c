"""Settings: what was varied in a run, by name - the swept keys in a sweep, the overridden ones in a single run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from trainer.artifacts.fingerprint import incidental, is_within
from trainer.artifacts.run_record import PATH_KEYS, Record

Value = str | float | bool


def settings(record: Record) -> dict[str, Value]:
    """What somebody chose for this run, as TensorBoard's HParams takes it.

    Returns:
        dict: By key: the value, of a group the choice; lists and `null` as text. Of a sweep's job what the sweep
        varied, or all that was typed where it varied nothing; without a word about numbers, the seed.
    """
    left_out = (*incidental(record.nested_config), "hydra")
    typed = [word for word in _parsed(record.overrides) if _counts(word.key_or_group, left_out)]
    swept = _swept(record.path.parent / "multirun.yaml")
    chosen = [word for word in typed if word.key_or_group in swept] or typed
    found = {word.key_or_group: _value(record, word) for word in chosen}
    return found or {"seed": _plain(record.config.get("seed"))}


def told_metrics(metrics: Sequence[str]) -> list[str]:
    """Of the names of metrics those that runs are compared by: validation, last and best, and test, of all classes."""
    return [name for name in metrics if name.startswith(("val/", "test/")) and name.count("/") == 1]


def changed_words(found: Sequence[Record]) -> list[str]:
    """Of each run the words of its command line that not all of the runs have; of one run all."""
    common = set.intersection(*(set(record.overrides) for record in found)) if len(found) > 1 else set()
    return [" ".join(word for word in record.overrides if word not in common) for record in found]


def _parsed(words: Sequence[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides([*words])
    except HydraException:  # somebody else's file
        return []


def _counts(key: str, left_out: Sequence[str]) -> bool:
    """Whether a key has a part in the numbers, and is no folder."""
    return not is_within(key, left_out) and key.rpartition(".")[2] not in PATH_KEYS


def _swept(file: Path) -> set[str]:
    """The keys that a sweep has several values for, on its command line or in its sweeper's parameters."""
    try:
        hydra = yaml.load(file.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))["hydra"]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return set()
    words = _parsed(hydra.get("overrides", {}).get("task") or [])
    parameters = (hydra.get("sweeper") or {}).get("params") or {}
    return {word.key_or_group for word in words if word.is_sweep_override()} | {*parameters}


def _value(record: Record, word: Override) -> Value:
    if word.is_delete():
        return "left out"
    node: Any = record.nested_config
    for step in word.key_or_group.split("."):
        node = node.get(step, word) if isinstance(node, dict) else word
    return word.get_value_element_as_str() if node is word or isinstance(node, dict) else _plain(node)


def _plain(value: Any) -> Value:
    return value if isinstance(value, str | float | int | bool) else "null" if value is None else str(value)
