"""The job of a run with several processes: the first process makes it, and each executes it."""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, cast

import torch.distributed
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log, setup_globals
from omegaconf import DictConfig, OmegaConf

from trainer.artifacts.run_directory import RunDirectory
from trainer.core.rank import World, processes_started
from trainer.core.warning_filters import quieten
from trainer.model.pretrained import are_given_later, weights_given_later


@dataclass
class Job:
    """Everything that a process needs to take part in a run; it can be pickled.

    Args:
        function: Dotted name of the function to call with the config and the run directory.
        directory: The run directory, begun; its config is resolved, so that each process has the same values.
        hydra: Hydra's own part of the config, as plain containers: classes of plugins cannot always be pickled.
        working_directory: Where relative paths start.
        weights_come_later: Whether networks are built without the files of their initial weights.
        world: The processes of the run.
    """

    function: str
    directory: RunDirectory
    hydra: dict[Any, Any]
    working_directory: Path
    weights_come_later: bool
    world: World

    @classmethod
    def of(cls, function: Callable[..., Any], directory: RunDirectory, world: World) -> "Job":
        """Return the job of the run that Hydra has composed in this process; the function is one of a module."""
        hydra = OmegaConf.to_container(HydraConfig.instance().cfg)
        assert isinstance(hydra, dict)
        name = f"{function.__module__}.{function.__qualname__}"
        return cls(name, directory, hydra, Path.cwd(), are_given_later(), world)

    @property
    def config(self) -> DictConfig:
        """The config of the run, resolved."""
        return OmegaConf.create(_escaped(self.directory.config))

    def prepare(self) -> None:
        """Make Hydra's config and the working directory known in this process, and import what it needs."""
        setup_globals()
        typed = {"hydra": OmegaConf.structured(HydraConf, flags={"struct": False})}
        HydraConfig.instance().set_config(cast(DictConfig, OmegaConf.merge(typed, self.hydra)))
        if self.working_directory.is_dir():
            os.chdir(self.working_directory)
        if (directory := str(self.working_directory)) not in sys.path:
            sys.path.append(directory)  # as the command does
        resolve_name(self.function)
        quieten()

    def log_to_run(self, *, everything: bool) -> None:
        """Log where the run logs: to the terminal and to its log file.

        Args:
            everything: Whether to log more than warnings; only one process of a run does.
        """
        hydra: Any = HydraConfig.get()
        configure_log(hydra.job_logging, hydra.verbose)
        for handler in logging.getLogger().handlers if not everything else ():
            handler.setLevel(logging.WARNING)
        quieten()

    def execute(self) -> dict[str, Any]:
        """Call the function in a prepared process, and return its result."""
        with weights_given_later() if self.weights_come_later else nullcontext():
            result: dict[str, Any] = resolve_name(self.function)(self.config, self.directory)
        return result


@contextmanager
def process_restored() -> Iterator[None]:
    """Undo what a run leaves in its process: the process group, and variables by which the next run would join it.

    Processes that something else has started keep their group: the next run is theirs as well.
    """
    environment = dict(os.environ)
    try:
        yield
    finally:
        if torch.distributed.is_initialized() and processes_started() == 1:
            torch.distributed.destroy_process_group()
        os.environ.clear()
        os.environ.update(environment)


def _escaped(value: Any) -> Any:
    """Return resolved values so that OmegaConf reads them as they are, also those that contain `${`."""
    if isinstance(value, dict):
        return {name: _escaped(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_escaped(child) for child in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value
