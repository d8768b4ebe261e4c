"""Loader: the configs of a sweep's jobs, as Hydra makes them, each set of choices composed once."""

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from trainer.config.compose import Composer
from trainer.config.multirun import unresolved


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
        config = self.composer.compose([*unresolved(master_config.hydra.overrides.hydra), *sweep_overrides])
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config
