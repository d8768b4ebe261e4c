"""Nursery: the process that those of jobs are forked from, which has imported everything and done nothing else."""

import sys
from collections.abc import Iterable
from multiprocessing import forkserver, get_context, resource_tracker

from omegaconf import DictConfig

from trainer.config.launchers import is_side_by_side
from trainer.config.schema import named_in
from trainer.core.signals import ctrl_c_held

METHOD = "forkserver" if sys.platform == "linux" else "spawn"  # macOS does not bear such forks


def open_nursery(modules: Iterable[str] = ()) -> None:
    """Begin it, if it is not there yet, and return at once.

    Args:
        modules: That it imports beside what every job needs.
    """
    if METHOD == "forkserver":
        get_context(METHOD).set_forkserver_preload(["trainer.sweep.executors.preload", "trainer.cli.main", *modules])
        # Ctrl-C in a terminal reaches all its processes; that one leaves it to this one, and hands that on to the jobs
        with ctrl_c_held():
            resource_tracker.ensure_running()  # in the end it lets it through
            with ctrl_c_held():
                forkserver.ensure_running()


def expect(config: DictConfig) -> None:
    """Begin it for a sweep that is to be run, if its jobs are forked on this machine: to be ready takes a while.

    Args:
        config: Of one of the jobs; what it names and is ours is imported once for all of them.
    """
    if is_side_by_side(config):
        open_nursery(dict.fromkeys(name.rpartition(".")[0] for name in named_in(config) if name.startswith("trainer.")))
