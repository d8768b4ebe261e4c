"""Text of the intervals of test metrics in `result.json`."""

from collections.abc import Mapping
from typing import Any

from trainer.core.data_files import check_types

BOUND_TYPES = {"low": float, "high": float, "method": str, "reason": str}


def format_intervals(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the bounds of each test metric that has an interval, e.g. `0.7698 to 0.8527`."""
    intervals = {name: value for name, value in result.get("intervals", {}).items() if "low" in value}
    return {
        name: f"{value['low']:.4f} to {value['high']:.4f}"
        for name, value in intervals.items()
        if not check_types(value, BOUND_TYPES)
    }


def describe_methods(result: Mapping[str, Any]) -> str:
    """Return the methods of the intervals, e.g. `95 % intervals: Wilson (accuracy), bootstrap (loss, f1)`; else ""."""
    names: dict[str, list[str]] = {}
    for name, value in result.get("intervals", {}).items():
        method = value.get("method") or f"none, as {value.get('reason')}"
        names.setdefault(str(method), []).append(name.removeprefix("test/"))
    parts = [f"{method} ({', '.join(metrics)})" for method, metrics in names.items()]
    return f"95 % intervals: {'; '.join(parts)}" if parts else ""
