"""Hydra's entry point for sweeps; settings of a whole sweep are resolved once, before its first job."""

from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig, flag_override

from trainer.config.home_directory import expand_home
from trainer.config.multirun import parse_overrides, pin_sweep_directory, shared_overrides
from trainer.core.compat import get_overrides_dirname, hydra_internal


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
