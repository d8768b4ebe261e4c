"""Hash of the settings that determine the metrics of a run."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.artifacts.display_callbacks import affects_training

# keys that do not change the metrics and are not part of the fingerprint; display callbacks are not part of it either
IGNORED_KEYS = (
    *("outputs", "task_name", "tags", "logger", "optimized_metric", "data.dir", "data.mirrors", "data.download"),
    *(
        "data.workers",
        "data.prefetch",
        "data.cache",
        "callbacks.checkpoint.every_minutes",
        "resume",
        "accept_changes",
        "sweep",
    ),
    "preflight",
    *("trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.profiler"),
)


def list_ignored_keys(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of a config that do not change the metrics: `IGNORED_KEYS` and its display callbacks.

    Args:
        config: Config of plain containers.
    """
    callbacks = config.get("callbacks")
    nodes = callbacks.items() if isinstance(callbacks, dict) else ()
    return (*IGNORED_KEYS, *(f"callbacks.{name}" for name, node in nodes if _is_display_callback(node)))


def _is_display_callback(node: Any) -> bool:
    return isinstance(node, dict) and not affects_training(str(node.get("_target_", "")))


def compute_fingerprint(config: dict[str, Any], directory: Path) -> str:
    """Return a hash of all settings that determine the metrics; runs with equal hashes should have equal metrics.

    Args:
        config: Resolved config of plain containers.
        directory: Run directory, which some settings contain.

    Returns:
        str: 16 hexadecimal digits.
    """
    return hash_config(drop_ignored(relative_paths(config, directory)))


def drop_ignored(resolved: Any) -> dict[str, Any]:
    """Return a copy of a resolved config without the ignored keys."""
    return _drop_keys(resolved, "", {*list_ignored_keys(resolved)})


def hash_config(config: dict[str, Any]) -> str:
    """Return a hash of 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:16]


def relative_paths(node: Any, *directories: Path | str) -> Any:
    """Return a config in which `.` replaces the directories of its run."""
    if isinstance(node, dict):
        return {name: relative_paths(child, *directories) for name, child in node.items()}
    if isinstance(node, list):
        return [relative_paths(child, *directories) for child in node]
    if isinstance(node, str):
        for directory in sorted(map(str, directories), key=len, reverse=True):
            node = node.replace(directory, ".")
    return node


def _drop_keys(node: Any, key: str, ignored: set[str]) -> Any:
    if not isinstance(node, dict):
        return node
    children = {str(name): (f"{key}.{name}".strip("."), child) for name, child in node.items()}
    return {name: _drop_keys(child, path, ignored) for name, (path, child) in children.items() if path not in ignored}
