"""Fingerprint: a hash of the settings that decide the numbers of a run, and which settings those are."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trainer.artifacts.display_callbacks import affects_training

# what does not change the numbers a run arrives at, and so has no part in its fingerprint; nor have display callbacks
INCIDENTAL = (
    *("outputs", "task_name", "tags", "logger", "optimized_metric", "data.dir", "data.mirrors", "data.download"),
    *("data.workers", "data.prefetch", "callbacks.checkpoint.every_minutes", "resume", "accept_changes", "sweep"),
    *("trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.profiler"),
)


def incidental(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of a config that have no part in the numbers: `INCIDENTAL`, and its display callbacks.

    Args:
        config: As plain containers.
    """
    callbacks = config.get("callbacks")
    named = callbacks.items() if isinstance(callbacks, dict) else ()
    return (*INCIDENTAL, *(f"callbacks.{name}" for name, node in named if not _affects_training(node)))


def _affects_training(callback: Any) -> bool:
    return not isinstance(callback, dict) or affects_training(str(callback.get("_target_", "")))


def is_within(key: str, parents: Iterable[str]) -> bool:
    """Whether a dotted key, or a group, is one of these, or lies below one."""
    return any(key == parent or key.startswith((f"{parent}.", f"{parent}/")) for parent in parents)


def fingerprint(config: dict[str, Any], directory: Path) -> str:
    """A hash of every setting that decides the numbers: equal for two runs that ought to agree.

    Args:
        config: The resolved config as plain containers.
        directory: The run directory, which some settings name.

    Returns:
        str: 16 hexadecimal digits.
    """
    return digest(essence(placeless(config, directory)))


def essence(resolved: Any) -> dict[str, Any]:
    """The part of a resolved config that decides the numbers; the config itself stays as it is."""
    return _pruned(resolved, "", {*incidental(resolved)})


def digest(essence: dict[str, Any]) -> str:
    """A hash of an essence: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(essence, sort_keys=True, default=str).encode()).hexdigest()[:16]


def placeless(node: Any, *directories: Path | str) -> Any:
    """The values of a config with `.` for the directory of its run, which is another for each."""
    if isinstance(node, dict):
        return {name: placeless(child, *directories) for name, child in node.items()}
    if isinstance(node, list):
        return [placeless(child, *directories) for child in node]
    if isinstance(node, str):
        for directory in sorted(map(str, directories), key=len, reverse=True):
            node = node.replace(directory, ".")
    return node


def _pruned(node: Any, key: str, left_out: set[str]) -> Any:
    if not isinstance(node, dict):
        return node
    inner = {str(name): (f"{key}.{name}".strip("."), child) for name, child in node.items()}
    return {name: _pruned(child, at, left_out) for name, (at, child) in inner.items() if at not in left_out}
