"""Monitors: whether what callbacks, schedules and sweeps wait for is a metric that anybody logs."""

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, ListConfig

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
    for key, metric in [*monitors.items(), *optimized]:
        if key == "optimized_metric":  # the run adds the best value of what its checkpoints are chosen by
            logged = [*logged, f"{monitors.get('callbacks.checkpoint.monitor')}_best"]
        if metric is not None and metric not in logged:
            near = nearest(str(metric), logged)
            offer = f"{near} " if near.startswith("did") else ""
            yield Mistake(key, f"no metric '{metric}' is logged", f"{offer}there are: {', '.join(logged)}")
