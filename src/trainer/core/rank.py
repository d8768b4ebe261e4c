"""Rank of this process in a run, from the variables that torchrun, Slurm and Lightning set. Imports no torch."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from trainer.core.lazy_imports import lazy_imports

INTERACTIVE_SLURM_JOBS = ("bash", "interactive")  # names of Slurm jobs that Lightning ignores


@dataclass(frozen=True)
class World:
    """Processes of a run.

    Args:
        size: Number of processes on all nodes.
        local: Number of processes that `trainer` starts on each node; 0 if it starts none.
    """

    size: int = 1
    local: int = 0


def is_first_process() -> bool:
    """Return whether this process composes the config and owns the run directory.

    The other processes of a run execute what the first one sends: see `trainer.training.distributed.rendezvous`.
    """
    rank = os.environ.get("RANK")
    if rank is None:
        # LOCAL_RANK first, as in Lightning: Slurm's variables are also set if something else starts the processes
        ranks = (os.environ.get(name) for name in ("LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK"))
        rank = next((value for value in ranks if value is not None), "0")
        has_nodes = {"MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()
        if has_nodes and os.environ.get("NODE_RANK", "0") != "0":
            return False
    return rank == "0"


def is_slurm_step() -> bool:
    """Return whether srun has started this process; false in the script that sbatch runs."""
    return "SLURM_STEP_ID" in os.environ and os.environ.get("SLURM_JOB_NAME") not in INTERACTIVE_SLURM_JOBS


def count_launched_processes() -> int:
    """Return the number of processes that torchrun or srun has started for this command; 1 if neither has."""
    if "RANK" in os.environ:
        return int(os.environ.get("WORLD_SIZE", "1"))
    return int(os.environ.get("SLURM_NTASKS", "1")) if is_slurm_step() else 1


def is_on_one_node() -> bool:
    """Return whether torchrun or srun has started all processes of this command on this machine."""
    if "RANK" in os.environ:
        return os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE")
    n_nodes = os.environ.get("SLURM_STEP_NUM_NODES") or os.environ.get("SLURM_NNODES")
    return is_slurm_step() and n_nodes == "1"


def is_single_process() -> bool:
    """Return whether this is the only process that has been started for this command."""
    return count_launched_processes() == 1 and is_first_process()


def dispatch_by_rank(command: Callable[[], int]) -> int:
    """Run a command in the first process, join its runs in the other processes, and return the exit status.

    Args:
        command: Function that may start runs and returns the exit status.
    """
    if is_single_process():
        return command()
    with lazy_imports():
        launch = import_module("trainer.training.distributed.launch")
    return int(launch.lead(command))
