"""Loader: the configs of a sweep's jobs, as Hydra makes them, each set of choices composed once."""

from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf, read_write

from trainer.compose import Composer


class SweepLoader(ConfigLoaderImpl):
    """Hydra's loader, for jobs that differ in values alone; composing takes some thirty times as long as setting these.

    Args:
        loader: Hydra's.
        composer: Keeps what was composed.
    """

    def __init__(self, loader: ConfigLoader, composer: Composer) -> None:
        super().__init__(loader.get_search_path())
        self.composer = composer

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        words = [*master_config.hydra.overrides.hydra, *sweep_overrides]
        config, parsed = self.composer.compose(words), self.composer.parsed(words)
        own = [each for each in parsed if not each.is_hydra_override()]
        how: Any = config.hydra.job.config.override_dirname
        with read_write(config.hydra):
            config.hydra.overrides.hydra = [each.input_line for each in parsed if each.is_hydra_override()]
            config.hydra.job.override_dirname = get_overrides_dirname(
                own, kv_sep=how.kv_sep, item_sep=how.item_sep, exclude_keys=how.exclude_keys
            )
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config
