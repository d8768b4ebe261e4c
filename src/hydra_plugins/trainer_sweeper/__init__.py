"""The sweeper of `trainer` and its launcher `ray`. Hydra accepts such from `hydra_plugins` alone, and looks there.

Hydra imports this at every start, so all that it does lies in `trainer.sweep`, which is imported when there is a sweep.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class LedgerSweeper(Sweeper):
    """Hydra's basic sweeper, with a ledger: what is done stays done, and the rest can be run another time.

    Args:
        max_batch_size: Jobs that are given to the launcher at a time; None for all.
        params: Axes, by key, as Hydra's basic sweeper takes them; those on the command line win.
    """

    def __init__(self, max_batch_size: int | None = None, params: dict[str, Any] | None = None) -> None:
        self.batch = max_batch_size

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.whole = config, hydra_context, task_function

    def sweep(self, arguments: list[str]) -> None:
        from trainer.sweep.run_sweep import run_sweep

        run_sweep(*self.whole, arguments, self.batch)


@dataclass
class Ray:
    """`hydra/launcher=ray`: each job of a sweep is a task of a Ray cluster; see docs/sweeps.md.

    Args:
        address: `local` for a Ray of its own on this machine, `auto` for the one that runs here, else `HOST:PORT`.
        num_cpus: Cores for each job, which are its threads as well.
        num_gpus: GPUs for each job; 0.5 where two share one.
        init: Further arguments of `ray.init`.
        remote: Further options of a job's task, such as `resources`.
    """

    _target_: str = "trainer.sweep.executors.ray.OnRay"
    address: str = "${oc.env:RAY_ADDRESS,local}"
    num_cpus: float = 1
    num_gpus: float = 0
    init: dict[str, Any] = field(default_factory=dict)
    remote: dict[str, Any] = field(default_factory=dict)


ConfigStore.instance().store("ray", Ray, "hydra/launcher")
