"""Hyperparameters of a run, which are the swept keys of a sweep or the overridden keys of a single run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from trainer.artifacts.fingerprint import list_ignored_keys
from trainer.artifacts.run_record import PATH_KEYS, RunRecord, get_mapping, read_mapping
from trainer.core.mappings import is_within
from trainer.core.metric_direction import as_list

Value = str | float | bool


def collect_hparams(record: RunRecord) -> dict[str, Value]:
    """Return the hyperparameters of a run for TensorBoard's HParams tab.

    Returns:
        dict: Value by key, or the option of a config group; lists and `null` as text. For a job of a sweep the swept
        keys, or all overridden keys if nothing was swept; the seed if no key was overridden.
    """
    overrides = _list_relevant_overrides(record)
    return (
        collect_swept_values(record)
        or _collect_values(record, overrides)
        or {"seed": _to_plain(record.config.get("seed"))}
    )


def collect_swept_values(record: RunRecord) -> dict[str, Value]:
    """Return the swept keys of a job with their values, as in `collect_hparams`; empty if nothing was swept."""
    swept_keys = _read_swept_keys(record.path.parent / "multirun.yaml")
    overrides = _list_relevant_overrides(record) if swept_keys else []
    return _collect_values(record, [override for override in overrides if override.key_or_group in swept_keys])


def _list_relevant_overrides(record: RunRecord) -> list[Override]:
    ignored = (*list_ignored_keys(record.nested_config), "hydra")
    return [
        override
        for override in _parse_overrides(record.overrides)
        if not is_within(override.key_or_group, ignored) and override.key_or_group.rpartition(".")[2] not in PATH_KEYS
    ]


def _collect_values(record: RunRecord, overrides: Sequence[Override]) -> dict[str, Value]:
    return {override.key_or_group: _lookup_value(record, override) for override in overrides}


def find_differing_overrides(records: Sequence[RunRecord]) -> list[str]:
    """Return the overrides of each run that not all runs share; all overrides if there is one run."""
    common = set.intersection(*(set(record.overrides) for record in records)) if len(records) > 1 else set()
    return [" ".join(override for override in record.overrides if override not in common) for record in records]


def _parse_overrides(overrides: Sequence[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides([*overrides])
    except HydraException:  # a file of another program
        return []


def _read_swept_keys(file: Path) -> set[str]:
    """Return the keys with several values, on the command line of a sweep or in the parameters of its sweeper."""
    hydra = get_mapping(read_mapping(file), "hydra")
    overrides = _parse_overrides(as_list(get_mapping(hydra, "overrides").get("task")))
    params = get_mapping(get_mapping(hydra, "sweeper"), "params")
    return {override.key_or_group for override in overrides if override.is_sweep_override()} | {*params}


def _lookup_value(record: RunRecord, override: Override) -> Value:
    if override.is_delete():
        return "left out"
    node: Any = record.nested_config
    for name in override.key_or_group.split("."):
        node = node.get(name, override) if isinstance(node, dict) else override
    if node is override or isinstance(node, dict):  # a config group
        return override.get_value_element_as_str()
    return _to_plain(node)


def _to_plain(value: Any) -> Value:
    return value if isinstance(value, str | float | int | bool) else "null" if value is None else str(value)
