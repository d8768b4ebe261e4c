"""Optimized metrics of a sweep, each with its direction. Imports torch only for metrics whose name says nothing."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.core.errors import UserError
from trainer.core.lazy_imports import late_imports
from trainer.core.metric_direction import UNKNOWN, Direction, direction_of, several


def optimized(config: DictConfig | None) -> dict[str, Direction]:
    """Return the metrics of `optimized_metric` in their order, each with its direction; none if it is null.

    Args:
        config: Of the sweep: `sweep.direction`, which it may set, never reaches a job. None if it cannot be composed.

    Raises:
        UserError: `sweep.direction` is invalid, or missing although the direction of a metric is unknown; or no such
            metric is logged.
    """
    if config is None:
        return {}
    named: Any = OmegaConf.to_container(OmegaConf.create({"metric": config.optimized_metric}))
    metrics = several(named["metric"])
    given = several(OmegaConf.to_container(config.sweep)["direction"])  # type: ignore[call-overload, index]
    if len({*metrics}) < len(metrics):
        raise UserError(f"optimized_metric: {', '.join(metrics)} has a metric twice; expected different ones")
    if given:
        return _given(metrics, given)
    unknown = any(direction_of(metric) is None for metric in metrics)
    measured = _measured(config) if unknown else {}
    found: dict[str, Direction] = {}
    for metric in metrics:
        direction = direction_of(metric, measured)
        if direction is None:
            of_each = " for each metric: [min,max]" if len(metrics) > 1 else ""
            raise UserError(f"sweep.direction: {UNKNOWN.format(metric)}; expected min or max{of_each}")
        found[metric] = direction
    return found


def _given(metrics: list[str], given: list[str]) -> dict[str, Direction]:
    if not metrics:
        raise UserError("sweep.direction: it has no effect without optimized_metric; set optimized_metric=METRIC")
    if len(given) != len(metrics) or not {*given} <= {"min", "max"}:
        said = given[0] if len(given) == 1 else f"[{','.join(given)}]"
        raise UserError(f"sweep.direction: say min or max for each of {', '.join(metrics)}, not {said}")
    return {metric: "min" if one == "min" else "max" for metric, one in zip(metrics, given, strict=True)}


def _measured(config: DictConfig) -> dict[str, Direction]:
    with late_imports():
        from trainer.training.preflight.check import directions_stated_in  # imports torch

    return directions_stated_in(config)
