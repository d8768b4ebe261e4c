"""Execution of a composed config as Hydra executes a command line, without Hydra's entry point."""

from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, run_job
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, open_dict, read_write

from trainer.config.compose import Composer
from trainer.core.compat import HydraCallbacks
from trainer.core.errors import UserError


def compose_run(composer: Composer, overrides: Sequence[str]) -> DictConfig:
    """Return the config of a run outside of a sweep, which has no job number.

    Raises:
        HydraException, OmegaConfBaseException: Hydra's own error.
    """
    config = composer.compose(overrides)
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.job.update(num="???", id="???")
    return config


def run_hydra_job(task: Callable[[Any], Any], config: DictConfig, loader: ConfigLoader) -> JobReturn:
    """Create the run directory, configure logging, write Hydra's files, and call a function with the config.

    Args:
        task: Function that runs the config.
        config: Composed config with Hydra's own part.
        loader: Loader that has composed it.

    Raises:
        UserError: The run directory cannot be used.
    """
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.mode = RunMode.RUN
        config.hydra.output_subdir = ".hydra"  # as a command sets it; Hydra's `compose` clears it
    callbacks = HydraCallbacks(config)
    try:
        callbacks.on_run_start(config=config, config_name="config")
    except SystemExit as error:  # as Hydra ignores other exceptions of its callbacks
        raise UserError(str(error.code).removeprefix("error: ")) from None
    context = HydraContext(config_loader=loader, callbacks=callbacks)
    return run_job(task, config, job_dir_key="hydra.run.dir", job_subdir_key=None, hydra_context=context)
