"""Monitors: whether what callbacks, schedules and sweeps wait for is a metric that anybody logs."""

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, ListConfig
from pytorch_lightning.callbacks import Checkpoint, StochasticWeightAveraging

from trainer.errors import nearest
from trainer.mistake import Mistake


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
    monitors = {f"callbacks.{name}.monitor": node.get("monitor") for name, node in (config.callbacks or {}).items()}
    monitors["scheduler.monitor"] = config.scheduler.get("monitor")
    asked = config.optimized_metric
    optimized = [("optimized_metric", metric) for metric in (asked if isinstance(asked, ListConfig) else [asked])]
    chosen_by = monitors.get("callbacks.checkpoint.monitor")  # the run adds its best value
    for key, metric in [*monitors.items(), *optimized]:
        known_by_then = [*logged, f"{chosen_by}_best"] if key == "optimized_metric" and chosen_by else logged
        if metric is not None and metric not in known_by_then:
            near = nearest(str(metric), known_by_then)
            offer = f"{near} " if near.startswith("did") else ""
            yield Mistake(key, f"no metric '{metric}' is logged", f"{offer}there are: {', '.join(known_by_then)}")


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
