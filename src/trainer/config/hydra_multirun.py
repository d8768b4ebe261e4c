"""Hydra's entry point for sweeps; settings of a whole sweep are resolved once, before its first job."""

from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, flag_override

from trainer.config.home_directory import expand_home
from trainer.config.multirun import get_raw_overrides, parse_overrides, pin_sweep_directory, shared_overrides
from trainer.config.schema import RESOURCE_DIR
from trainer.core.compat import HydraCallbacks, create_config_search_path, get_overrides_dirname, hydra_internal


class MultirunHydra(hydra_internal.Hydra):
    """Compose the config of a run, or that of a sweep from the overrides that all of its jobs share."""

    def compose_config(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, *args: Any, **kwargs: Any
    ) -> DictConfig:
        """Return the composed config; that of a sweep has one directory for all jobs."""
        if run_mode == RunMode.RUN:
            config = super().compose_config(config_name, overrides, run_mode, *args, **kwargs)
            expand_home(config)
            return config
        parsed = parse_overrides(overrides, self.config_loader)
        loader: Any = self.config_loader
        shared = shared_overrides(parsed, loader.repository.group_exists)
        config = super().compose_config(config_name, shared, run_mode, *args, **kwargs)
        expand_home(config)
        task_overrides = [override for override in parsed if not override.is_hydra_override()]
        dirname_settings: Any = config.hydra.job.config.override_dirname
        with flag_override(config, ["readonly", "struct"], False):
            # the sweeper creates the jobs from these
            config.hydra.overrides.task = [override.input_line for override in task_overrides]
            config.hydra.job.override_dirname = get_overrides_dirname(task_overrides, **dirname_settings)
        pin_sweep_directory(config, parsed)
        return config


def patch_hydra() -> None:
    """Replace the class that `hydra.main` uses."""
    hydra_internal.Hydra = MultirunHydra  # type: ignore[misc]


def run_hydra_multirun(task: Callable[[Any], Any], overrides: Sequence[str]) -> str:
    """Run a sweep as Hydra runs a command line with `--multirun`, and return its directory.

    Args:
        task: Function that runs a job.
        overrides: Overrides of the command line.

    Raises:
        UserError: A job has failed.
    """
    path = create_config_search_path(str(RESOURCE_DIR / "conf"))
    GlobalHydra.instance().clear()
    hydra = MultirunHydra.create_main_hydra2("trainer", path)
    try:
        config = hydra.compose_config(
            "config", [*overrides, "hydra.mode=MULTIRUN"], RunMode.MULTIRUN, with_log_configuration=True
        )
        callbacks = HydraCallbacks(config)
        callbacks.on_multirun_start(config=config, config_name="config")
        context = HydraContext(config_loader=hydra.config_loader, callbacks=callbacks)
        sweeper = Plugins.instance().instantiate_sweeper(config=config, hydra_context=context, task_function=task)
        sweeper.sweep(get_raw_overrides(config.hydra.overrides.task))
        callbacks.on_multirun_end(config=config, config_name="config")
    finally:
        GlobalHydra.instance().clear()
    return str(config.hydra.sweep.dir)
