"""Callbacks and schedulers that monitor a metric, and the direction in which it improves."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.core.metric_direction import AUTO, MODES, Direction, infer_direction

DEFAULT_MONITOR = "val/loss"  # also of PyTorch's plateau scheduler, which has no argument `monitor`
# names of the validation loss in other projects, which replace the default monitor if it is not logged
VALIDATION_LOSS_NAMES = tuple(
    f"{stage}{separator}loss" for stage in ("val", "valid", "validation") for separator in "/_"
)


@dataclass(frozen=True)
class Monitor:
    """A callback or scheduler of a config that monitors a metric.

    Args:
        key: Dotted key of its node, e.g. `callbacks.checkpoint`.
        metric: Name of the metric; None if epochs are not compared.
        mode: Configured mode; `auto` if the metric determines it.
    """

    key: str
    metric: str | None
    mode: Any


def find_monitors(config: DictConfig) -> Iterator[Monitor]:
    """Yield the callbacks and the scheduler that have a `mode` as in Lightning and PyTorch."""
    nodes = {f"callbacks.{name}": node for name, node in (config.callbacks or {}).items()}
    for key, node in {**nodes, "scheduler": config.scheduler}.items():
        if not OmegaConf.is_dict(node) or "_target_" not in node:
            continue
        defaults = _get_defaults(node["_target_"])
        mode = node.get("mode")
        default_mode = defaults.get("mode")
        if mode not in MODES and default_mode not in MODES:  # `mode` has another meaning, or does not exist
            continue
        if "monitor" in node:
            yield Monitor(key, node["monitor"], AUTO if mode is None else mode)
        elif "monitor" in defaults:  # the code chooses both unless a mode is set
            yield Monitor(key, defaults["monitor"], default_mode if mode is None else mode)
        elif node["_target_"].endswith(".ReduceLROnPlateau"):
            yield Monitor(key, DEFAULT_MONITOR, AUTO if mode is None else mode)


def find_validation_loss(logged: Iterable[str]) -> str | None:
    """Return the metric that replaces the default monitor: the validation loss, of the first loader of several."""
    names = {*logged}
    candidates = [f"{name}{suffix}" for suffix in ("", "/dataloader_idx_0") for name in VALIDATION_LOSS_NAMES]
    return next((name for name in candidates if name in names), None)


def resolve_monitor_modes(config: DictConfig, measured: Mapping[str, Direction]) -> DictConfig:
    """Return a copy of a config in which each monitor has the mode of its metric.

    Args:
        config: Complete config.
        measured: Directions of the objective's metrics.
    """
    resolved = deepcopy(config)
    for monitor in find_monitors(config):
        direction = infer_direction(monitor.metric, measured) if monitor.metric else None
        mode = direction or (monitor.mode if monitor.mode in ("min", "max") else "min")  # any, without a metric
        OmegaConf.update(resolved, f"{monitor.key}.mode", mode, force_add=True)
    return resolved


def _get_defaults(target: str) -> dict[str, Any]:
    """Return the default of each argument that has one; nothing if the signature cannot be read."""
    try:
        parameters = inspect.signature(resolve_name(target)).parameters
    except (ImportError, AttributeError, ValueError, TypeError):
        return {}
    return {name: item.default for name, item in parameters.items() if item.default is not item.empty}
