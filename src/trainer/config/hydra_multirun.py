"""Hydra's entry point for sweeps: settings of a whole sweep are composed and resolved once, before its first job."""

from typing import Any

from hydra._internal import hydra as of_hydra
from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.types import RunMode
from omegaconf import DictConfig, flag_override

from trainer.config.multirun import fix_directory, parsed, shared_overrides


class MultirunHydra(of_hydra.Hydra):
    """Compose the config of a sweep from the overrides that all of its jobs share."""

    def compose_config(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, *given: Any, **named: Any
    ) -> DictConfig:
        """Return the composed config; that of a sweep names one directory for all jobs."""
        if run_mode == RunMode.RUN:
            return super().compose_config(config_name, overrides, run_mode, *given, **named)
        typed = parsed(overrides, self.config_loader)
        loader: Any = self.config_loader
        shared = shared_overrides(typed, loader.repository.group_exists)
        config = super().compose_config(config_name, shared, run_mode, *given, **named)
        own = [each for each in typed if not each.is_hydra_override()]
        with flag_override(config, ["readonly", "struct"], False):
            config.hydra.overrides.task = [each.input_line for each in own]  # the sweeper creates the jobs from these
            config.hydra.job.override_dirname = get_overrides_dirname(own, **config.hydra.job.config.override_dirname)
        fix_directory(config, typed)
        return config


def install() -> None:
    """Let `hydra.main` use it."""
    of_hydra.Hydra = MultirunHydra  # type: ignore[misc]
