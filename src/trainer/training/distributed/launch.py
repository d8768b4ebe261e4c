"""The processes of a run: how many there are, and how each gets its job (`trainer=ddp`, torchrun, Slurm).

A run on several devices has a process for each. Lightning would start them by the command line of the first one, which
may be a script, a notebook, a sweep or another command. Here the process that composes the config starts them all as
`trainer.training.distributed.rank_process`, gives them their job, and waits. If one of them fails, it stops the others
and reports the reason. If torchrun or Slurm has started them, they meet at `trainer.training.distributed.rendezvous`.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import DictConfig
from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher

from trainer.artifacts.run_directory import RunDirectory
from trainer.core.errors import UserError, blamed_on
from trainer.core.rank import World, is_first_process, processes_started
from trainer.core.signals import interruptible
from trainer.training.build import build_trainer
from trainer.training.distributed.job import Job
from trainer.training.distributed.local_launcher import execute_on_this_node
from trainer.training.distributed.rendezvous import DISMISSAL_SECONDS, Rendezvous, cluster_environment, rendezvous


def world_of(config: DictConfig) -> World:
    """Return the processes that a config asks for.

    Raises:
        UserError: Something else has started another number of processes, or the strategy cannot be used.
    """
    asked = config.trainer
    if asked.get("devices") in (1, "1") and asked.get("num_nodes", 1) == 1 and processes_started() == 1:
        return World()
    planned = build_trainer(config, logger=False, callbacks=[], enable_checkpointing=False)
    if isinstance(planned.strategy.launcher, _MultiProcessingLauncher):
        raise UserError(
            f"trainer.strategy: '{asked.get('strategy')}' trains in copies of this process, and their number of"
            " steps and their callbacks are lost; expected trainer.strategy=ddp"
        )
    devices, nodes = planned.num_devices, planned.num_nodes
    if devices * nodes == processes_started() == 1:
        return World()
    environment = getattr(planned.strategy, "cluster_environment", None) or cluster_environment()
    if not environment.creates_processes_externally:
        return World(devices * nodes, devices)
    started = devices * nodes if isinstance(environment, LightningEnvironment) else environment.world_size()
    if started != devices * nodes:
        raise UserError(_another_number(devices, nodes, started))
    with blamed_on("trainer.devices"):
        environment.validate_settings(devices, nodes)
    return World(devices * nodes)


def execute_in_all(function: Callable[..., Any], directory: RunDirectory, world: World) -> dict[str, Any]:
    """Call a function in all processes of a run, of which this is the first, and return the result of rank 0.

    Args:
        function: Of a module; called with the config and the run directory.
        directory: The run directory, begun.
        world: The processes.

    Raises:
        UserError: A process was killed, or some did not come.
    """
    job = Job.of(function, directory, world)
    if not world.local:
        rendezvous().share(job, world.size - 1)
        return job.execute()
    if world.size == world.local:
        return execute_on_this_node(job, 0, Rendezvous(os.environ.get("MASTER_ADDR", "127.0.0.1"), 0, hosts=True))
    rendezvous().share(job, world.size // world.local - 1)
    return execute_on_this_node(job, 0, rendezvous())


@contextmanager
def leading() -> Iterator[None]:
    """Let the first process start a run; if it starts none, end the waiting of the other processes."""
    others = processes_started() - 1
    before = rendezvous().count if others else 0
    try:
        yield
    finally:
        if others and rendezvous().count == before:
            with suppress(UserError):  # the others have failed before
                rendezvous().share(None, others, DISMISSAL_SECONDS)


def lead(command: Callable[[], int]) -> int:
    """Run a command in the first process, and in any other one take part in its run; return the exit status."""
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
        UserError: The first process has ended before, or something in the run is wrong.
    """
    job: Job | None = rendezvous().receive()
    if job is None:
        return None
    if job.world.local:
        return job.directory.path, execute_on_this_node(job, int(os.environ["NODE_RANK"]), rendezvous())
    with interruptible():
        job.prepare()
        return job.directory.path, job.execute()


def _another_number(devices: int, nodes: int, started: int) -> str:
    """Return the message if the number of processes that were started is not the number that is asked for."""
    if "RANK" in os.environ:
        who, how = "torchrun", f"torchrun --nnodes={nodes} --nproc-per-node={devices} -m trainer ..."
    else:
        who, how = "Slurm", f"srun --nodes={nodes} --ntasks-per-node={devices} trainer ..."
        how += f", or in a sweep hydra.launcher.nodes={nodes} hydra.launcher.tasks_per_node={devices}"
    offer = f"; or trainer=ddp trainer.devices={started}" if started > devices * nodes else ""
    return (
        f"trainer.devices: {devices} device(s) on {nodes} node(s) need {devices * nodes} process(es), and {who} has"
        f" started {started}; expected the same number\n  {how}{offer}"
    )
