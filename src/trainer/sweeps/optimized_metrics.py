"""Optimized metrics of a sweep and their directions. Imports torch only if a direction is not clear from the name."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.core.errors import UserError
from trainer.core.lazy_imports import lazy_imports
from trainer.core.metric_direction import UNKNOWN_DIRECTION_MESSAGE, Direction, as_list, infer_direction


def resolve_optimized_metrics(config: DictConfig | None) -> dict[str, Direction]:
    """Return the metrics of `optimized_metric` in their order, each with its direction; none if it is null.

    Args:
        config: Config of the sweep, or None if it cannot be composed. Jobs do not receive `sweep.direction`.

    Raises:
        UserError: `sweep.direction` is invalid, or missing although the direction of a metric is unknown; or no such
            metric is logged.
    """
    if config is None:
        return {}
    plain: Any = OmegaConf.to_container(OmegaConf.create({"metric": config.optimized_metric}))
    metrics = as_list(plain["metric"])
    directions = as_list(OmegaConf.to_container(config.sweep)["direction"])  # type: ignore[call-overload, index]
    if len({*metrics}) < len(metrics):
        raise UserError(f"optimized_metric: {', '.join(metrics)} contains a metric twice; expected different metrics")
    if directions:
        return _validate_directions(metrics, directions)
    unknown = any(infer_direction(metric) is None for metric in metrics)
    measured = _load_objective_directions(config) if unknown else {}
    optimized: dict[str, Direction] = {}
    for metric in metrics:
        direction = infer_direction(metric, measured)
        if direction is None:
            suffix = " for each metric: [min,max]" if len(metrics) > 1 else ""
            raise UserError(f"sweep.direction: {UNKNOWN_DIRECTION_MESSAGE.format(metric)}; expected min or max{suffix}")
        optimized[metric] = direction
    return optimized


def _validate_directions(metrics: list[str], directions: list[str]) -> dict[str, Direction]:
    if not metrics:
        raise UserError("sweep.direction: no effect without optimized_metric; set optimized_metric=METRIC")
    if len(directions) != len(metrics) or not {*directions} <= {"min", "max"}:
        text = directions[0] if len(directions) == 1 else f"[{','.join(directions)}]"
        raise UserError(f"sweep.direction: invalid value {text}; expected min or max for each of {', '.join(metrics)}")
    return {metric: "min" if text == "min" else "max" for metric, text in zip(metrics, directions, strict=True)}


def _load_objective_directions(config: DictConfig) -> dict[str, Direction]:
    with lazy_imports():
        from trainer.training.preflight.check import require_objective_directions  # imports torch

    return require_objective_directions(config)
