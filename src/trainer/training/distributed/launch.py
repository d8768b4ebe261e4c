"""Launch of the processes of a run (`trainer=ddp`, torchrun, Slurm).

A run on several devices has one process per device. Lightning would start them with the command line of the first one,
which may be a script, a notebook, a sweep or another command. Instead, the process that composes the config starts all
processes as `rank_process`, sends them the job and waits. If one of them fails, it stops the others and reports the
reason. Processes that torchrun or Slurm has started receive the job through `rendezvous`.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import DictConfig

from trainer.artifacts.run_directory import RunDirectory
from trainer.core.compat import MultiProcessingLauncher
from trainer.core.errors import UserError, attribute_errors_to
from trainer.core.rank import World, count_launched_processes, is_first_process
from trainer.core.signals import interruptible
from trainer.training.build import build_trainer
from trainer.training.distributed.job import Job
from trainer.training.distributed.local_launcher import execute_on_this_node
from trainer.training.distributed.rendezvous import (
    DISMISSAL_SECONDS,
    LOOPBACK_ADDRESS,
    Rendezvous,
    cluster_environment,
    rendezvous,
)


def resolve_world(config: DictConfig) -> World:
    """Return the processes that a config requires.

    Raises:
        UserError: torchrun or Slurm has started another number of processes, or the strategy is not supported.
    """
    settings = config.trainer
    if settings.get("devices") in (1, "1") and settings.get("num_nodes", 1) == 1 and count_launched_processes() == 1:
        return World()
    trainer = build_trainer(config, logger=False, callbacks=[], enable_checkpointing=False)
    if isinstance(trainer.strategy.launcher, MultiProcessingLauncher):
        raise UserError(
            f"trainer.strategy: '{settings.get('strategy')}' trains in copies of this process, and their number of"
            " steps and their callbacks are lost; expected trainer.strategy=ddp"
        )
    devices = trainer.num_devices
    nodes = trainer.num_nodes
    if devices * nodes == count_launched_processes() == 1:
        return World()
    environment = getattr(trainer.strategy, "cluster_environment", None) or cluster_environment()
    if not environment.creates_processes_externally:
        return World(devices * nodes, devices)
    _require_same_count(environment, devices, nodes)
    return World(devices * nodes)


def _require_same_count(environment: ClusterEnvironment, devices: int, nodes: int) -> None:
    """Raise an error if torchrun or Slurm has started another number of processes."""
    started = devices * nodes if isinstance(environment, LightningEnvironment) else environment.world_size()
    if started != devices * nodes:
        raise UserError(_format_count_mismatch(devices, nodes, started))
    with attribute_errors_to("trainer.devices"):
        environment.validate_settings(devices, nodes)


def execute_on_all_ranks(function: Callable[..., Any], directory: RunDirectory, world: World) -> dict[str, Any]:
    """Call a function in all processes of a run, of which this is the first; return the result of rank 0.

    Args:
        function: Function of a module, called with the config and the run directory.
        directory: The run directory, created.
        world: The processes.

    Raises:
        UserError: A process was killed, or did not connect in time.
    """
    job = Job.of(function, directory, world)
    if not world.local:
        rendezvous().share(job, world.size - 1)
        return job.execute()
    if world.size == world.local:
        return execute_on_this_node(job, 0, Rendezvous(LOOPBACK_ADDRESS, 0, is_host=True))
    rendezvous().share(job, world.size // world.local - 1)
    return execute_on_this_node(job, 0, rendezvous())


@contextmanager
def leading() -> Iterator[None]:
    """Let the first process start a run; if it starts none, release the other processes."""
    others = count_launched_processes() - 1
    initial_count = rendezvous().count if others else 0
    try:
        yield
    finally:
        if others and rendezvous().count == initial_count:
            with suppress(UserError):  # the others have failed already
                rendezvous().share(None, others, DISMISSAL_SECONDS)


def lead(command: Callable[[], int]) -> int:
    """Run a command in the first process, take part in its run in any other process; return the exit status."""
    try:
        if not is_first_process():
            join()
            return 0
        with leading():
            return command()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def join() -> tuple[Path, dict[str, Any]] | None:
    """Take part in the run that the first process starts.

    Returns:
        The run directory, and the result of this process; None if the first process starts no run.

    Raises:
        UserError: The first process has exited, or the run has failed.
    """
    job: Job | None = rendezvous().receive()
    if job is None:
        return None
    if job.world.local:
        return job.directory.path, execute_on_this_node(job, int(os.environ["NODE_RANK"]), rendezvous())
    with interruptible():
        job.prepare()
        return job.directory.path, job.execute()


def _format_count_mismatch(devices: int, nodes: int, started: int) -> str:
    if "RANK" in os.environ:
        launcher = "torchrun"
        hint = f"torchrun --nnodes={nodes} --nproc-per-node={devices} -m trainer ..."
    else:
        launcher = "Slurm"
        hint = f"srun --nodes={nodes} --ntasks-per-node={devices} trainer ..."
        hint += f", or in a sweep hydra.launcher.nodes={nodes} hydra.launcher.tasks_per_node={devices}"
    if started > devices * nodes:
        hint += f"; or trainer=ddp trainer.devices={started}"
    return (
        f"trainer.devices: {devices} device(s) on {nodes} node(s) need {devices * nodes} process(es), and {launcher}"
        f" has started {started}; expected the same number\n  {hint}"
    )
