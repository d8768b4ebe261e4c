"""Dotted keys, nested mappings as values by dotted key, their differences, and groups of values by key."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def flatten(values: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    """Return nested values by dotted key; lists and empty mappings are not flattened."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        child_key = f"{key}.{name}".strip(".")
        flat |= flatten(value, child_key) if isinstance(value, dict) and value else {child_key: value}
    return flat


def diff_mappings(first: Mapping[str, Any], second: Mapping[str, Any], absent: Any = "-") -> dict[str, tuple[Any, Any]]:
    """Return the keys with different values in two mappings, with both values; two NaN are equal."""
    keys = [*first, *(key for key in second if key not in first)]
    pairs = {key: (first.get(key, absent), second.get(key, absent)) for key in keys}
    return {key: (a, b) for key, (a, b) in pairs.items() if a != b and not (a != a and b != b)}


def group_pairs(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    """Return the values of each key, in the order of the pairs."""
    groups: dict[Key, list[Value]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def is_within(key: str, parents: Iterable[str]) -> bool:
    """Return whether a dotted name or a config group is one of `parents` or below one."""
    return any(key == parent or key.startswith((f"{parent}.", f"{parent}/")) for parent in parents)


def nonfinite_to_none(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics for JSON, which has no NaN: None replaces values that are not finite."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
