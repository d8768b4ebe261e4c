"""Monitors: whether the metrics that a config names are logged, and whether each mode goes with its metric."""

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig
from pytorch_lightning.callbacks import Checkpoint, StochasticWeightAveraging
from torch.optim.lr_scheduler import ReduceLROnPlateau

from trainer.config.diagnostics import Mistake
from trainer.config.monitors import monitors
from trainer.core.errors import nearest
from trainer.core.metric_direction import Direction, direction_of, measured_by, refused_mode
from trainer.training.build import build


def mistakes_of_monitors(config: DictConfig, task: Any, callbacks: list[Any], data: Any) -> Iterator[Mistake]:
    """Metrics that are waited for and that nobody logs; Lightning would find out after the first epoch.

    Args:
        config: Its callbacks and scheduler may have a `monitor`.
        task: Says by `logged` which names it logs; one that does not say lets all names pass.
        callbacks: Those that log say by `logged(data)` which names. One that is neither Lightning's nor ours may log
            anything, and then all names pass.
        data: The data module.
    """
    known = all(type(each).__module__.startswith(("trainer.", "pytorch_lightning.")) for each in callbacks)
    if not known or not hasattr(task, "logged"):
        return
    logged = [*task.logged, *(name for each in callbacks if hasattr(each, "logged") for name in each.logged(data))]
    waited = {f"callbacks.{name}.monitor": node.get("monitor") for name, node in (config.callbacks or {}).items()}
    waited["scheduler.monitor"] = config.scheduler.get("monitor")
    asked = config.optimized_metric
    optimized = [("optimized_metric", metric) for metric in (asked if isinstance(asked, ListConfig) else [asked])]
    chosen_by = waited.get("callbacks.checkpoint.monitor")  # the run adds its best value
    for key, metric in [*waited.items(), *optimized]:
        known_by_then = [*logged, f"{chosen_by}_best"] if key == "optimized_metric" and chosen_by else logged
        if metric is not None and metric not in known_by_then:
            near = nearest(str(metric), known_by_then)
            offer = f"{near} " if near.startswith("did") else ""
            yield Mistake(key, f"no metric '{metric}' is logged", f"{offer}there are: {', '.join(known_by_then)}")


def measured_directions(config: DictConfig, data: Any = None) -> dict[str, Direction]:
    """Return the directions that the objective of a config states of its metrics; none if it cannot be built.

    Args:
        config: The whole config.
        data: The data module; None builds it.
    """
    try:
        return measured_by(build(config, "objective", (build(config, "data") if data is None else data).spec))
    except Exception:  # the rehearsal reports it
        return {}


def mistakes_of_modes(config: DictConfig, measured: Mapping[str, Direction]) -> Iterator[Mistake]:
    """Modes of callbacks and of the scheduler that contradict their metric, or that are missing.

    Args:
        config: The whole config.
        measured: Directions of the objective's metrics.
    """
    for each in monitors(config):
        direction = direction_of(each.metric, measured) if each.metric else None
        if each.metric and (refused := refused_mode(each.metric, each.mode, direction)):
            yield Mistake(f"{each.key}.mode", *refused)


def mistakes_in_code(built: Mapping[str, Any], measured: Mapping[str, Direction]) -> Iterator[Mistake]:
    """Modes that contradict their metric and that no config names.

    Args:
        built: Callbacks, and results of `configure_optimizers`, by key.
        measured: Directions of the objective's metrics.
    """
    found = {key: (getattr(each, "monitor", None), getattr(each, "mode", None)) for key, each in built.items()}
    found |= {key: (metric, plateau.mode) for key, each in built.items() for metric, plateau in _plateaus(each)}
    for key, (metric, mode) in found.items():
        if not isinstance(metric, str) or mode not in ("min", "max"):
            continue
        if refused := refused_mode(metric, mode, direction_of(metric, measured)):
            yield Mistake(key, *refused)


def _plateaus(found: Any) -> Iterator[tuple[str | None, ReduceLROnPlateau]]:
    """Yield the plateau schedulers in the result of `configure_optimizers`, each with its metric."""
    if isinstance(found, dict):
        metric = found.get("monitor")
        inner = [found.get("lr_scheduler"), found.get("scheduler")]
        yield from ((metric, each) for each in inner if isinstance(each, ReduceLROnPlateau))
        yield from _plateaus([each for each in inner if isinstance(each, dict)])
    elif isinstance(found, list | tuple):
        for each in found:
            yield from _plateaus(each)


def mistakes_of_averages(callbacks: dict[str, Any]) -> Iterator[Mistake]:
    """Yield a mistake for an average of weights that would be neither validated nor saved, and so not tested.

    Args:
        callbacks: By their names in the config; None for one that could not be built.
    """
    if not any(isinstance(each, Checkpoint) for each in callbacks.values()):
        return  # the weights are tested that the training has left
    for name, callback in callbacks.items():
        if isinstance(callback, StochasticWeightAveraging):
            problem = "its average is not validated, and no checkpoint has it"
            instead = "pytorch_lightning.callbacks.WeightAveraging averages weights that are validated and saved"
            yield Mistake(f"callbacks.{name}", problem, instead)
