"""Monitors: the callbacks and the scheduler that compare epochs by a metric, and whether they look for small values."""

import inspect
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.core.metric_direction import AUTO, MODES, Direction, direction_of

PLATEAU_METRIC = "val/loss"  # that PyTorch's plateau scheduler monitors, which takes no `monitor`


@dataclass(frozen=True)
class Monitor:
    """A callback or scheduler of a config that compares epochs by a metric.

    Args:
        key: Key of its node, e.g. `callbacks.checkpoint`.
        metric: The metric; None if epochs are not compared.
        mode: As configured; `auto` if it is left to the metric.
    """

    key: str
    metric: str | None
    mode: Any


def monitors(config: DictConfig) -> Iterator[Monitor]:
    """Yield the callbacks and the scheduler that have a `mode`, in the sense of Lightning and PyTorch."""
    nodes = {f"callbacks.{name}": node for name, node in (config.callbacks or {}).items()}
    for key, node in {**nodes, "scheduler": config.scheduler}.items():
        if not OmegaConf.is_dict(node) or "_target_" not in node:
            continue
        defaults = _defaults(node["_target_"])
        written, by_code = node.get("mode"), defaults.get("mode")
        if written not in MODES and by_code not in MODES:  # `mode` has another meaning here, or does not exist
            continue
        if "monitor" in node:
            yield Monitor(key, node["monitor"], AUTO if written is None else written)
        elif "monitor" in defaults:  # without a `mode` beside it the code chooses both
            yield Monitor(key, defaults["monitor"], by_code if written is None else written)
        elif node["_target_"].endswith(".ReduceLROnPlateau"):
            yield Monitor(key, PLATEAU_METRIC, AUTO if written is None else written)


def with_modes(config: DictConfig, measured: Mapping[str, Direction]) -> DictConfig:
    """Return a config in which each monitor has the mode that goes with its metric.

    Args:
        config: The whole config; it is not changed.
        measured: Directions of the objective's metrics.
    """
    made = deepcopy(config)
    for each in monitors(config):
        direction = direction_of(each.metric, measured) if each.metric else None
        mode = direction or (each.mode if each.mode in ("min", "max") else "min")  # without a metric any will do
        OmegaConf.update(made, f"{each.key}.mode", mode, force_add=True)
    return made


def _defaults(target: str) -> dict[str, Any]:
    """Return the default of each argument that has one; none if that cannot be read."""
    try:
        parameters = inspect.signature(resolve_name(target)).parameters
    except (ImportError, AttributeError, ValueError, TypeError):
        return {}
    return {name: each.default for name, each in parameters.items() if each.default is not each.empty}
