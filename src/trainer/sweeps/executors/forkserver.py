"""Forkserver process that sweep jobs are forked from, with all modules of a job imported."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, get_context, resource_tracker

from omegaconf import DictConfig

from trainer.config.launchers import is_parallel
from trainer.config.schema import find_targets
from trainer.core.signals import block_sigint

START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"  # forks of a loaded torch crash on macOS


def start_forkserver(modules: Iterable[str] = ()) -> None:
    """Start the forkserver if it does not run yet, without waiting for its imports.

    Args:
        modules: Modules to import in addition to those that every job needs.
    """
    if START_METHOD == "forkserver":
        get_context(START_METHOD).set_forkserver_preload(
            ["trainer.sweeps.executors.preload", "trainer.cli.main", *modules]
        )
        # Ctrl-C in a terminal reaches all processes; this process handles it and stops the jobs
        with block_sigint(), safe_import_path():
            resource_tracker.ensure_running()  # unblocks SIGINT at its end
            with block_sigint():
                forkserver.ensure_running()


@contextmanager
def safe_import_path() -> Iterator[None]:
    """Keep Python processes that are started in the block from searching the working directory first.

    `python -c`, which `multiprocessing` uses, would import a user's file random.py instead of the standard module.
    """
    previous = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        os.environ.pop("PYTHONSAFEPATH")
        if previous is not None:
            os.environ["PYTHONSAFEPATH"] = previous


def warm_up_forkserver(config: DictConfig) -> None:
    """Start the forkserver early if jobs are forked on this machine, as its imports take a while.

    Args:
        config: Config of one job. The modules of this package that it names are imported once for all jobs.
    """
    if is_parallel(config):
        start_forkserver(
            dict.fromkeys(name.rpartition(".")[0] for name in find_targets(config) if name.startswith("trainer."))
        )
