"""Composition of the config of a run, or of each job of a sweep, with Hydra. Imports no torch."""

from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, cast

from hydra import version
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.core.utils import JobRuntime, setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from trainer.config.diagnostics import REQUIRED_KEY_MESSAGE, Diagnostic, SourceLocation, raise_on_errors
from trainer.config.home_directory import expand_home
from trainer.config.hydra_errors import diagnose_hydra_error, diagnose_syntax_error
from trainer.config.multirun import GLOBAL_GROUPS, shared_overrides
from trainer.config.schema import RESOURCE_DIR, ROOT_KEYS, register_hydra_plugins
from trainer.config.stray_arguments import diagnose_stray_arguments
from trainer.config.tolerant_repository import TolerantRepository
from trainer.config.value_sources import Layer, load_layers
from trainer.core.compat import ConfigLoaderImpl, create_config_search_path, get_overrides_dirname

GLOBAL_GROUP_PREFIXES = tuple(f"{group}=" for group in GLOBAL_GROUPS)
# Hydra keys that do not affect composition
HYDRA_JOB_KEYS = ("hydra.mode", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")


class Composer:
    """Composer of configs from command-line overrides.

    Args:
        config_dir: Additional directory to search, like Hydra's `--config-dir`. Defaults to none.
    """

    def __init__(self, config_dir: str | None = None) -> None:
        register_hydra_plugins()
        setup_globals()  # ${hydra:...} and ${now:...}
        version.setbase("1.3")
        JobRuntime.instance().set("name", "trainer")
        path = create_config_search_path(str(RESOURCE_DIR / "conf"))
        if config_dir:
            path.prepend("command-line", f"file://{Path(config_dir).absolute()}", SearchPathQuery(provider="schema"))
        self.loader = ConfigLoaderImpl(path)
        self.loader.repository = self._repository = TolerantRepository(path)
        self._parser = OverridesParser.create(config_loader=self.loader)
        self._bases: dict[tuple[str, ...], tuple[DictConfig, list[Diagnostic]]] = {}
        self.file_diagnostics: list[Diagnostic] = []  # invalid root keys in files, left out of the last config

    def compose(self, overrides: Sequence[str], job: int = 0) -> DictConfig:
        """Return the config of one run, with Hydra's part under `hydra`, and make it the target of `${hydra:...}`.

        Args:
            overrides: Group choices and values.
            job: Number of the job in a sweep. Defaults to 0.

        Raises:
            HydraException, OmegaConfBaseException: Hydra's own error; `compose_tolerant` returns diagnostics instead.
        """
        parsed = self._parser.parse_overrides([*overrides])
        self.loader.validate_sweep_overrides_legal(parsed, RunMode.RUN, from_shell=True)
        choices = tuple(override.input_line or "" for override in parsed if self._affects_composition(override))
        if choices not in self._bases:  # most jobs of a sweep differ only in values
            self._repository.diagnostics.clear()
            base = self.loader.load_configuration("config", [*choices], RunMode.RUN)
            self._bases[choices] = base, [*self._repository.diagnostics.values()]
        base, self.file_diagnostics = self._bases[choices]
        config = deepcopy(base)
        self.loader._apply_overrides_to_config(
            [override for override in parsed if not self._affects_composition(override)], config
        )
        expand_home(config)
        task_overrides = [override for override in parsed if not override.is_hydra_override()]
        dirname_settings: Any = config.hydra.job.config.override_dirname
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.overrides.hydra = [item.input_line for item in parsed if item.is_hydra_override()]
            config.hydra.overrides.task = [item.input_line for item in task_overrides]
            config.hydra.job.override_dirname = get_overrides_dirname(task_overrides, **dirname_settings)
            config.hydra.job.update(num=job, id=str(job))
            HydraConfig.instance().cfg = config  # type: ignore[assignment]  # as in Hydra
            config.hydra.runtime.output_dir = "outputs"
            with suppress(OmegaConfBaseException):  # reported by the check of all values
                config.hydra.runtime.output_dir = config.hydra.run.dir
        return config

    def compose_tolerant(
        self, overrides: Sequence[str], job: int = 0
    ) -> tuple[DictConfig | None, list[str], list[Diagnostic]]:
        """Compose; remove invalid overrides one by one, so that every error is reported.

        Returns:
            DictConfig | None: The config of the valid overrides; None if the others are needed to compose one.
            list[str]: The valid overrides.
            list[Diagnostic]: The errors in the others. Errors in files are in `file_diagnostics`.
        """
        valid, diagnostics = self.check_syntax(overrides)
        while True:
            try:
                config = self.compose(valid, job)
            except Exception as error:  # also errors that Hydra's code raises by accident
                culprit = self._find_invalid_override(valid, error)
                diagnostics.append(diagnose_hydra_error(error, culprit, self._group_options))
                if culprit is None or culprit.lstrip("+").startswith(GLOBAL_GROUP_PREFIXES):  # others depend on it
                    return None, valid, [*diagnostics, *self.file_diagnostics]
                group = get_override_key(culprit)
                nested = (f"{group}.", f"+{group}.", f"++{group}.", f"~{group}.") if self._is_group(group) else "\0"
                valid = [override for override in valid if override != culprit and not override.startswith(nested)]
                continue
            deletions = {override: get_override_key(override) for override in valid if override.startswith("~")}
            invalid = {override: key for override, key in deletions.items() if key in ROOT_KEYS and key not in config}
            if not invalid:
                return config, valid, diagnostics
            diagnostics += [
                Diagnostic(key, REQUIRED_KEY_MESSAGE, f"leave {override} out", SourceLocation(override))
                for override, key in invalid.items()
            ]
            valid = [override for override in valid if override not in invalid]

    def compose_checked(self, overrides: Sequence[str]) -> DictConfig:
        """Compose.

        Raises:
            UserError: Lists every error in the overrides and in the files that they choose.
        """
        config, _, diagnostics = self.compose_tolerant(overrides)
        raise_on_errors([*diagnostics, *self.file_diagnostics])
        assert config is not None  # otherwise there is a diagnostic
        return config

    def parse_axes(self, overrides: Sequence[str]) -> dict[str, list[str] | IntervalSweep]:
        """Return the overrides of each key of a sweep, in the order of the command line; a later key replaces others.

        An interval, which has infinitely many values, is returned as it is.

        Raises:
            HydraException: An override does not follow Hydra's grammar.
        """
        axes: dict[str, list[str] | IntervalSweep] = {}
        for override in self.parse_overrides(overrides):
            key = override.get_key_element()
            if override.is_interval_sweep():
                axes[key] = cast(IntervalSweep, override.value())
            elif override.is_sweep_override():
                axes[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            else:
                axes[key] = [override.input_line or ""]
        return axes

    def select_shared(self, overrides: Sequence[str]) -> list[str]:
        """Return the overrides that hold for a whole sweep; they determine its settings.

        Raises:
            HydraException: An override does not follow Hydra's grammar.
        """
        return shared_overrides(self.parse_overrides(overrides), self._is_group)

    def parse_overrides(self, overrides: Sequence[str]) -> list[Override]:
        """Parse overrides.

        Raises:
            HydraException: An override does not follow Hydra's grammar.
        """
        return self._parser.parse_overrides([*overrides])

    def is_choice(self, override: str) -> bool:
        """Return whether an override chooses a file instead of setting a value."""
        return self._is_choice(self._parser.parse_override(override))

    def set_value(self, config: DictConfig, override: str) -> Any:
        """Set one value in a composed config; return it as plain containers, with interpolations unresolved."""
        parsed = self._parser.parse_override(f"++{override.lstrip('+')}" if override.startswith("+") else override)
        self.loader._apply_overrides_to_config([parsed], config)
        return select_plain(config, parsed.key_or_group)

    def load_layers(self, overrides: Sequence[str]) -> list[Layer]:
        """Return the layers that valid overrides are composed of; later layers take precedence."""
        return load_layers(self.loader, overrides)

    def check_syntax(self, overrides: Sequence[str]) -> tuple[list[str], list[Diagnostic]]:
        """Return the overrides that follow Hydra's grammar, and the errors in the others."""
        valid = []
        candidates, diagnostics = diagnose_stray_arguments(overrides)
        for override in candidates:
            try:
                self._parser.parse_override(override)
                valid.append(override)
            except HydraException:
                diagnostics.append(diagnose_syntax_error(override))
        return valid, diagnostics

    def _find_invalid_override(self, overrides: Sequence[str], error: Exception) -> str | None:
        """Return the override without which this error disappears, or None if the error is in a file."""

        def is_unlikely(override: str) -> bool:
            return override not in str(error) and f"'{get_override_key(override)}'" not in str(error)

        for candidate in sorted(overrides, key=is_unlikely):
            try:
                self.compose([override for override in overrides if override != candidate])
            except Exception as other:
                if str(other) == str(error):
                    continue
            return candidate
        return None

    def _affects_composition(self, override: Override) -> bool:
        """Return whether an override must be applied before composition; values can be set afterwards."""
        return self._is_choice(override) or (
            override.is_hydra_override() and override.key_or_group not in HYDRA_JOB_KEYS
        )

    def _is_choice(self, override: Override) -> bool:
        return override.key_or_group == "hydra.searchpath" or self._is_group(override.key_or_group)

    @cache  # noqa: B019  there are few composers
    def _is_group(self, key: str) -> bool:
        return "." not in key and bool(self._repository.group_exists(key))

    def _group_options(self, group: str) -> list[str]:
        return self._repository.get_group_options(group) if self._is_group(group) else []


def select_plain(config: DictConfig, key: str) -> Any:
    """Return the value of an existing key as plain containers, with interpolations unresolved."""
    parent, _, name = key.rpartition(".")
    value: Any = (OmegaConf.select(config, parent) if parent else config)._get_node(name)
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value._value()


def get_override_key(override: str) -> str:
    """Return the key or group of an override."""
    return override.lstrip("+~").partition("=")[0]
