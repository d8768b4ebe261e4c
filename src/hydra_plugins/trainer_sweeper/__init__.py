"""The sweeper of `trainer`, where Hydra looks for such: it accepts them from `hydra_plugins` alone.

Hydra imports this at every start, so all that it does lies in `trainer.sweep`, which is imported when there is a sweep.
"""

from typing import Any

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
        from trainer.sweep.run import run_sweep

        run_sweep(*self.whole, arguments, self.batch)
