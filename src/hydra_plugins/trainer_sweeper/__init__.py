"""Hydra plugin with the sweeper of `trainer` and its launcher `ray`.

Hydra searches only `hydra_plugins`, and imports this module at every start; the code is in `trainer.sweeps`, which is
imported by a sweep.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class LedgerSweeper(Sweeper):
    """Hydra's basic sweeper with a ledger: finished jobs are skipped when a sweep is resumed.

    Args:
        max_batch_size: Maximum number of jobs that the launcher receives at a time; None for all.
        params: Sweep axes by key, as in Hydra's basic sweeper; axes of the command line override them.
    """

    def __init__(self, max_batch_size: int | None = None, params: dict[str, Any] | None = None) -> None:
        self.max_batch_size = max_batch_size

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._setup = (config, hydra_context, task_function)

    def sweep(self, arguments: list[str]) -> None:
        from trainer.sweeps.run_sweep import run_sweep

        run_sweep(*self._setup, arguments, self.max_batch_size)


@dataclass
class Ray:
    """Config of `hydra/launcher=ray`, which runs each job of a sweep as a Ray task; see docs/sweeps.md.

    Args:
        address: `local` for a new Ray on this machine, `auto` for the one that runs here, or `HOST:PORT`.
        num_cpus: Cores per job; also its number of threads.
        num_gpus: GPUs per job; 0.5 if two jobs share one.
        init: Further arguments of `ray.init`.
        remote: Further options of the task of a job, e.g. `resources`.
    """

    _target_: str = "trainer.sweeps.executors.ray.RayExecutor"
    address: str = "${oc.env:RAY_ADDRESS,local}"
    num_cpus: float = 1
    num_gpus: float = 0
    init: dict[str, Any] = field(default_factory=dict)
    remote: dict[str, Any] = field(default_factory=dict)


ConfigStore.instance().store("ray", Ray, "hydra/launcher")
