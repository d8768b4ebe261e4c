"""Checks that monitored metrics are logged, and that each mode suits its metric."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, ListConfig
from pytorch_lightning.callbacks import Checkpoint, StochasticWeightAveraging
from torch.optim.lr_scheduler import ReduceLROnPlateau

from trainer.config.diagnostics import Diagnostic
from trainer.config.monitors import DEFAULT_MONITOR, find_monitors, find_validation_loss
from trainer.core.callback import Callback, is_user_code
from trainer.core.errors import suggest_names
from trainer.core.metric_direction import Direction, collect_metric_directions, find_mode_error, infer_direction
from trainer.core.spec import find_spec
from trainer.training.build import build_data
from trainer.training.build_module import build_with_spec


def check_monitored_metrics(
    config: DictConfig, logged: Sequence[str], callbacks: list[Any], data: Any
) -> Iterator[Diagnostic]:
    """Yield an error for each monitored metric that is not logged; Lightning reports it after the first epoch.

    Args:
        config: Config whose callbacks and scheduler may have a `monitor`.
        logged: Names of the metrics that the LightningModule logs.
        callbacks: Callbacks, some with `logged_metrics(data)`. User-defined ones may log anything; then nothing is
            checked.
        data: The data module.
    """
    if any(map(is_user_code, callbacks)):
        return
    ours = [callback for callback in callbacks if isinstance(callback, Callback)] if find_spec(data) else []
    logged = [*logged, *(name for callback in ours for name in callback.logged_metrics(data))]
    monitors = {f"callbacks.{name}.monitor": node.get("monitor") for name, node in (config.callbacks or {}).items()}
    monitors["scheduler.monitor"] = config.scheduler.get("monitor")
    checkpoint_key = "callbacks.checkpoint.monitor"
    if monitors.get(checkpoint_key) == DEFAULT_MONITOR and DEFAULT_MONITOR not in logged:
        monitors[checkpoint_key] = find_validation_loss(logged)  # as the checkpoint callback does
    metrics = config.optimized_metric
    optimized = [("optimized_metric", metric) for metric in (metrics if isinstance(metrics, ListConfig) else [metrics])]
    checkpoint_monitor = monitors.get(checkpoint_key)  # the run adds its best value to the result
    for key, metric in [*monitors.items(), *optimized]:
        names = [*logged, f"{checkpoint_monitor}_best"] if key == "optimized_metric" and checkpoint_monitor else logged
        if metric is not None and metric not in names:
            hint = suggest_names(str(metric), names)
            hint = f"{hint} " if hint.startswith("did") else ""
            yield Diagnostic(key, f"no metric '{metric}' is logged", f"{hint}there are: {', '.join(names)}")


def read_objective_directions(config: DictConfig, data: Any = None) -> dict[str, Direction]:
    """Return the directions that the objective declares for its metrics; an empty dict if it cannot be built.

    Args:
        config: The whole config.
        data: The data module; built from the config if None.
    """
    try:
        spec = find_spec(build_data(config) if data is None else data)
        return collect_metric_directions(build_with_spec(config, "objective", spec))
    except Exception:  # the dry run reports it
        return {}


def check_modes(config: DictConfig, directions: Mapping[str, Direction]) -> Iterator[Diagnostic]:
    """Yield an error for each mode of callbacks and scheduler that contradicts its metric or is missing.

    Args:
        config: The whole config.
        directions: Directions of the objective's metrics.
    """
    for monitor in find_monitors(config):
        direction = infer_direction(monitor.metric, directions) if monitor.metric else None
        if monitor.metric and (error := find_mode_error(monitor.metric, monitor.mode, direction)):
            yield Diagnostic(f"{monitor.key}.mode", *error)


def check_modes_in_code(objects: Mapping[str, Any], directions: Mapping[str, Direction]) -> Iterator[Diagnostic]:
    """Yield an error for each mode that is set in code and contradicts its metric.

    Args:
        objects: Callbacks, and results of `configure_optimizers`, by key.
        directions: Directions of the objective's metrics.
    """
    monitors = [
        (key, getattr(instance, "monitor", None), getattr(instance, "mode", None)) for key, instance in objects.items()
    ]
    for key, instance in objects.items():
        monitors += [(key, metric, scheduler.mode) for metric, scheduler in _find_plateau_schedulers(instance)]
    for key, metric, mode in monitors:
        if not isinstance(metric, str) or mode not in ("min", "max"):
            continue
        if error := find_mode_error(metric, mode, infer_direction(metric, directions)):
            yield Diagnostic(key, *error)


def _find_plateau_schedulers(result: Any) -> Iterator[tuple[str | None, ReduceLROnPlateau]]:
    """Yield the plateau schedulers in a result of `configure_optimizers`, each with its metric."""
    if isinstance(result, dict):
        children = [result.get("lr_scheduler"), result.get("scheduler")]
        yield from ((result.get("monitor"), child) for child in children if isinstance(child, ReduceLROnPlateau))
        yield from _find_plateau_schedulers([child for child in children if isinstance(child, dict)])
    elif isinstance(result, list | tuple):
        for child in result:
            yield from _find_plateau_schedulers(child)


def check_weight_averaging(callbacks: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield an error for averaged weights that are neither validated nor saved, and so not tested.

    Args:
        callbacks: Callbacks by their names in the config; None for one that could not be built.
    """
    if not any(isinstance(callback, Checkpoint) for callback in callbacks.values()):
        return  # the final weights are tested
    for name, callback in callbacks.items():
        if isinstance(callback, StochasticWeightAveraging):
            problem = "the averaged weights are neither validated nor saved"
            hint = "'callbacks=[default,swa]' averages weights that are validated and saved"
            yield Diagnostic(f"callbacks.{name}", problem, hint)
