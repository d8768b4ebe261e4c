"""Description of a run with several processes, which the first process sends to all others."""

import logging
import os
import re
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
from trainer.config.import_path import add_working_directory
from trainer.config.schema import find_targets
from trainer.core.rank import World, count_launched_processes
from trainer.core.warning_filters import install_warning_filters
from trainer.data.loading.loader_classes import restore_loader_classes
from trainer.model.pretrained import is_weight_loading_skipped, skip_weight_loading


@dataclass
class Job:
    """Everything that a process needs to take part in a run; can be pickled.

    Args:
        function: Dotted name of the function to call with the config and the run directory.
        directory: The run directory, created; its config is resolved, so that all processes have the same values.
        hydra: Hydra's own part of the config, as plain containers, because some plugin classes cannot be pickled.
        cwd: Working directory.
        skips_weight_loading: True if networks are built without loading the files of their initial weights.
        world: The processes of the run.
    """

    function: str
    directory: RunDirectory
    hydra: dict[Any, Any]
    cwd: Path
    skips_weight_loading: bool
    world: World

    @classmethod
    def of(cls, function: Callable[..., Any], directory: RunDirectory, world: World) -> "Job":
        """Return the job of the run that Hydra has composed in this process; the function must be in a module."""
        hydra = OmegaConf.to_container(HydraConfig.instance().cfg)
        assert isinstance(hydra, dict)
        name = f"{function.__module__}.{function.__qualname__}"
        return cls(name, directory, hydra, Path.cwd(), is_weight_loading_skipped(), world)

    @property
    def config(self) -> DictConfig:
        """The config of the run, resolved."""
        return OmegaConf.create(_escape(self.directory.config))

    def prepare(self) -> None:
        """Set Hydra's config and the working directory of this process, and import the function."""
        setup_globals()
        schema = {"hydra": OmegaConf.structured(HydraConf, flags={"struct": False})}
        HydraConfig.instance().set_config(cast(DictConfig, OmegaConf.merge(schema, self.hydra)))
        if self.cwd.is_dir():
            os.chdir(self.cwd)
        add_working_directory(find_targets(self.config, with_paths=True))  # as the first process does
        resolve_name(self.function)
        install_warning_filters()

    def configure_logging(self, *, warnings_only: bool) -> None:
        """Log to the terminal and to the log file of the run; all processes except one log warnings only."""
        hydra: Any = HydraConfig.get()
        configure_log(hydra.job_logging, hydra.verbose)
        for handler in logging.getLogger().handlers if warnings_only else ():
            handler.setLevel(logging.WARNING)
        install_warning_filters()

    def execute(self) -> dict[str, Any]:
        """Call the function in a prepared process, and return its result."""
        with skip_weight_loading() if self.skips_weight_loading else nullcontext():
            result: dict[str, Any] = resolve_name(self.function)(self.config, self.directory)
        return result


@contextmanager
def process_restored() -> Iterator[None]:
    """Destroy the process group after a run, and restore the environment, so that the next run does not join it.

    Loader classes that Lightning has patched are restored as well.

    Processes that torchrun or Slurm has started keep their group for the next run.
    """
    environment = dict(os.environ)
    try:
        yield
    finally:
        if torch.distributed.is_initialized() and count_launched_processes() == 1:
            torch.distributed.destroy_process_group()
        restore_loader_classes()
        os.environ.clear()
        os.environ.update(environment)


def _escape(value: Any) -> Any:
    """Escape `${` in resolved values, so that OmegaConf reads them literally."""
    if isinstance(value, dict):
        return {name: _escape(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_escape(child) for child in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value
