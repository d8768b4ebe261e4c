"""Text of the intervals of test metrics in `result.json`."""

from collections.abc import Mapping
from typing import Any

from trainer.core.data_files import check_types
from trainer.core.mappings import group_pairs

BOUND_TYPES = {"low": float, "high": float}


def format_intervals(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the bounds of each test metric that has an interval, e.g. `0.7698 to 0.8527`."""
    return {
        name: f"{value['low']:.4f} to {value['high']:.4f}"
        for name, value in result.get("intervals", {}).items()
        if not check_types(value, BOUND_TYPES, is_complete=True)
    }


def describe_methods(result: Mapping[str, Any]) -> str:
    """Return the methods of the intervals, e.g. `95 % intervals: accuracy by Wilson; f1 by bootstrap`, or ""."""
    parts = [f"{', '.join(names)} by {method}" for method, names in _group_metrics(result, "method").items()]
    return f"95 % intervals: {'; '.join(parts)}" if parts else ""


def describe_missing(result: Mapping[str, Any]) -> str:
    """Return the reasons why test metrics have no interval, or ""."""
    parts = [f"{', '.join(names)}: {reason}" for reason, names in _group_metrics(result, "reason").items()]
    return f"no 95 % interval: {'; '.join(parts)}" if parts else ""


def _group_metrics(result: Mapping[str, Any], key: str) -> dict[str, list[str]]:
    """Return the names of the test metrics with each value of an entry of their intervals."""
    intervals = result.get("intervals", {}).items()
    return group_pairs((str(value[key]), name.removeprefix("test/")) for name, value in intervals if key in value)
