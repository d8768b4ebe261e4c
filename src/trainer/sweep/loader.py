"""Loader: the configs of a sweep's jobs, as Hydra makes them, each set of choices composed once."""

from copy import deepcopy
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, read_write

OF_A_JOB = ("hydra.sweep.dir", "hydra.sweep.subdir")  # of Hydra's own keys, those that Hydra composes nothing by


class SweepLoader(ConfigLoaderImpl):
    """Hydra's loader, for jobs that differ in values alone; composing takes some thirty times as long as setting these.

    Args:
        loader: Hydra's.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        super().__init__(loader.get_search_path())
        self._bases: dict[tuple[str, ...], DictConfig] = {}

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        words = [*master_config.hydra.overrides.hydra, *sweep_overrides]
        parsed = OverridesParser.create(config_loader=self).parse_overrides(words)
        name = master_config.hydra.job.config_name
        chosen = tuple(each.input_line or "" for each in parsed if self._decides(each))
        if chosen not in self._bases:
            self._bases[chosen] = self.load_configuration(name, [*chosen], RunMode.RUN)
        config = deepcopy(self._bases[chosen])
        self._apply_overrides_to_config([each for each in parsed if not self._decides(each)], config)
        own = [each for each in parsed if not each.is_hydra_override()]
        how: Any = config.hydra.job.config.override_dirname
        with read_write(config.hydra):
            config.hydra.overrides.hydra = [each.input_line for each in parsed if each.is_hydra_override()]
            config.hydra.overrides.task = [each.input_line for each in own]
            config.hydra.job.override_dirname = get_overrides_dirname(
                own, kv_sep=how.kv_sep, item_sep=how.item_sep, exclude_keys=how.exclude_keys
            )
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config

    def _decides(self, word: Override) -> bool:
        """Whether a word decides what is composed, and is not a value that is set afterwards."""
        key = word.key_or_group
        if word.is_hydra_override():
            return key not in OF_A_JOB
        return "." not in key and bool(self.repository.group_exists(key))
