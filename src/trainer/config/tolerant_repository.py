"""Config repository that collects errors in files instead of raising the first one. Imports no torch."""

from typing import Any, ClassVar

import yaml
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trainer.config.diagnostics import Diagnostic, SourceLocation
from trainer.config.schema import ROOT_KEYS, Config
from trainer.config.value_sources import find_config_file
from trainer.core.compat import ConfigRepository
from trainer.core.errors import display_path, suggest_names


class TolerantRepository(ConfigRepository):
    """Repository that removes invalid root keys and unreadable files, and records them in `diagnostics`."""

    # by location and key; in the class because Hydra copies the repository for each config
    diagnostics: ClassVar[dict[tuple[str, str], Diagnostic]] = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        file = find_config_file(self.get_sources(), config_path)
        try:
            result: ConfigResult | None = super().load_config(config_path)
        except yaml.MarkedYAMLError as error:
            assert file is not None
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            self._record(Diagnostic("", f"invalid YAML: {error.problem}", "", SourceLocation(display_path(file), line)))
            return ConfigResult("empty", str(file), OmegaConf.create({}), {"package": "_global_"})
        if result and file and result.header.get("package") == "_global_" and isinstance(result.config, DictConfig):
            for key in [*result.config]:
                if problem := _check_root_key(str(key), result.config):
                    location = SourceLocation(display_path(file), _find_line(file, str(key)))
                    self._record(Diagnostic(str(key), *problem, location))
                    del result.config[key]
        return result

    def _record(self, diagnostic: Diagnostic) -> None:
        self.diagnostics[str(diagnostic.location), diagnostic.key] = diagnostic


def _check_root_key(key: str, config: DictConfig) -> tuple[str, str] | None:
    """Return problem and suggestion for a root key of a file, or None if it is valid."""
    if key in ("hydra", "defaults"):
        return None
    if key not in ROOT_KEYS:
        return "unknown config key", suggest_names(key, ROOT_KEYS)
    try:
        OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.masked_copy(config, [key]))
    except OmegaConfBaseException as error:
        return str(error).splitlines()[0], ""
    return None


def _find_line(file: Any, key: str) -> int:
    lines = file.read_text("utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if line.startswith(f"{key}:")), 1)
