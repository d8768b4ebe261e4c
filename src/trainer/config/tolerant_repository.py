"""Mended: Hydra's files, read so that one mistake in them does not hide the others. Imports no torch."""

from dataclasses import fields
from typing import Any, ClassVar

import yaml
from hydra._internal.config_repository import ConfigRepository
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trainer.config.diagnostics import Mistake, Place
from trainer.config.schema import Config
from trainer.config.value_sources import file_of
from trainer.core.errors import nearest, shown

ROOT = [each.name for each in fields(Config)]


class Mended(ConfigRepository):
    """Hydra's files, without what would end composition at once; that is noted in `found`, by place and key."""

    found: ClassVar[dict[tuple[str, str], Mistake]] = {}  # of the class: Hydra copies a repository for each config

    def load_config(self, config_path: str) -> ConfigResult | None:
        file = file_of(self.get_sources(), config_path)
        try:
            result: ConfigResult | None = super().load_config(config_path)
        except yaml.MarkedYAMLError as error:
            assert file is not None
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            self._note(Mistake("", f"no YAML: {error.problem}", place=Place(shown(file), line)))
            return ConfigResult("mended", str(file), OmegaConf.create({}), {"package": "_global_"})
        if result and file and result.header.get("package") == "_global_" and isinstance(result.config, DictConfig):
            for key in [*result.config]:
                if mistake := _wrong_at_top(str(key), result.config):
                    self._note(Mistake(str(key), *mistake, Place(shown(file), _line(file, str(key)))))
                    del result.config[key]
        return result

    def _note(self, mistake: Mistake) -> None:
        self.found[str(mistake.place), mistake.key] = mistake


def _wrong_at_top(key: str, config: DictConfig) -> tuple[str, str] | None:
    """(problem, what would be right) of a key at the top of a file."""
    if key in ("hydra", "defaults"):
        return None
    if key not in ROOT:
        return "nothing reads this key", nearest(key, ROOT)
    try:
        OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.masked_copy(config, [key]))
    except OmegaConfBaseException as error:
        return str(error).splitlines()[0], ""
    return None


def _line(file: Any, key: str) -> int:
    lines = file.read_text("utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if line.startswith(f"{key}:")), 1)
