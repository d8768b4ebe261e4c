"""Config loader for sweep jobs that composes each set of config choices only once."""

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from trainer.config.compose import Composer
from trainer.config.multirun import get_raw_overrides
from trainer.core.compat import ConfigLoaderImpl


class CachedConfigLoader(ConfigLoaderImpl):
    """Hydra's loader for jobs that differ only in values, which are about thirty times faster to set than to compose.

    Args:
        loader: Loader of Hydra.
        composer: Composer with the cache.
    """

    def __init__(self, loader: ConfigLoader, composer: Composer) -> None:
        super().__init__(loader.get_search_path())
        self.composer = composer

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        config = self.composer.compose([*get_raw_overrides(master_config.hydra.overrides.hydra), *sweep_overrides])
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config
