"""Execution of a run or of a sweep as Hydra executes a command line, without Hydra's entry point."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, run_job
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, open_dict, read_write

from trainer.config.compose import Composer
from trainer.config.hydra_multirun import MultirunHydra
from trainer.config.multirun import get_raw_overrides
from trainer.config.schema import RESOURCE_DIR
from trainer.core.compat import HydraCallbacks, create_config_search_path
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
    with _exit_as_user_error():
        callbacks.on_run_start(config=config, config_name="config")
    context = HydraContext(config_loader=loader, callbacks=callbacks)
    return run_job(task, config, job_dir_key="hydra.run.dir", job_subdir_key=None, hydra_context=context)


def run_hydra_multirun(task: Callable[[Any], Any], overrides: Sequence[str]) -> str:
    """Run a sweep as Hydra runs a command line with `--multirun`, and return its directory.

    Args:
        task: Function that runs a job.
        overrides: Overrides of the command line.

    Raises:
        UserError: The directory cannot be used, or a job has failed.
    """
    path = create_config_search_path(str(RESOURCE_DIR / "conf"))
    GlobalHydra.instance().clear()
    hydra = MultirunHydra.create_main_hydra2("trainer", path)
    try:
        config = hydra.compose_config(
            "config", [*overrides, "hydra.mode=MULTIRUN"], RunMode.MULTIRUN, with_log_configuration=True
        )
        callbacks = HydraCallbacks(config)
        with _exit_as_user_error():
            callbacks.on_multirun_start(config=config, config_name="config")
        context = HydraContext(config_loader=hydra.config_loader, callbacks=callbacks)
        sweeper = Plugins.instance().instantiate_sweeper(config=config, hydra_context=context, task_function=task)
        sweeper.sweep(get_raw_overrides(config.hydra.overrides.task))
        callbacks.on_multirun_end(config=config, config_name="config")
    finally:
        GlobalHydra.instance().clear()
    return str(config.hydra.sweep.dir)


@contextmanager
def _exit_as_user_error() -> Iterator[None]:
    """Convert the exit of a callback to an error; Hydra ignores the exceptions of its callbacks."""
    try:
        yield
    except SystemExit as error:
        raise UserError(str(error.code).removeprefix("error: ")) from None
