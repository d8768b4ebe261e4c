"""Compose: the config of a run, or of every job of a sweep, as Hydra makes it; nothing is run. Imports no torch."""

from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, cast

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.core.utils import JobRuntime, setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from trainer.config.diagnostics import NEEDED, Mistake, Place, refuse
from trainer.config.hydra_errors import mistake_in
from trainer.config.multirun import GLOBAL_GROUPS, shared_overrides
from trainer.config.schema import HOME, KEYS, register
from trainer.config.tolerant_repository import Mended
from trainer.config.value_sources import Layer, layers

RECIPES = tuple(f"{group}=" for group in GLOBAL_GROUPS)
OF_A_JOB = ("hydra.mode", "hydra.sweep.dir", "hydra.sweep.subdir")  # of Hydra's own keys: it composes nothing by them


class Composer:
    """Makes configs from the words of a command line.

    Args:
        folder: A folder that is searched as well: Hydra's `--config-dir`.
    """

    def __init__(self, folder: str | None = None) -> None:
        register()
        setup_globals()  # ${hydra:...} and ${now:...}
        version.setbase("1.3")
        JobRuntime.instance().set("name", "trainer")
        path = create_config_search_path(str(HOME / "conf"))
        if folder:
            path.prepend("command-line", f"file://{Path(folder).absolute()}", SearchPathQuery(provider="schema"))
        self._loader = ConfigLoaderImpl(path)
        self._loader.repository = self._files = Mended(path)
        self._parser = OverridesParser.create(config_loader=self._loader)
        self._bases: dict[tuple[str, ...], tuple[DictConfig, list[Mistake]]] = {}
        self.found: list[Mistake] = []  # at the top of the files of the last config, which is without it

    def compose(self, words: Sequence[str], number: int = 0) -> DictConfig:
        """The config of one run, Hydra's own part under `hydra`; `${hydra:...}` in it can be resolved from now on.

        Args:
            words: Choices and values.
            number: Of the job in a sweep.

        Raises:
            HydraException, OmegaConfBaseException: As Hydra puts it; `attempt` says it better.
        """
        parsed = self._parser.parse_overrides([*words])
        self._loader.validate_sweep_overrides_legal(parsed, RunMode.RUN, from_shell=True)
        choices = tuple(each.input_line or "" for each in parsed if self._decides(each))
        if choices not in self._bases:  # jobs of a sweep differ in values, mostly
            self._files.found.clear()
            base = self._loader.load_configuration("config", [*choices], RunMode.RUN)
            self._bases[choices] = base, [*self._files.found.values()]
        base, self.found = self._bases[choices]
        config = deepcopy(base)
        self._loader._apply_overrides_to_config([each for each in parsed if not self._decides(each)], config)
        own = [each for each in parsed if not each.is_hydra_override()]
        how: Any = config.hydra.job.config.override_dirname
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.overrides.hydra = [each.input_line for each in parsed if each.is_hydra_override()]
            config.hydra.overrides.task = [each.input_line for each in own]
            config.hydra.job.override_dirname = get_overrides_dirname(own, **how)
            config.hydra.job.update(num=number, id=str(number))
            HydraConfig.instance().cfg = config  # type: ignore[assignment]  # as Hydra does it
            config.hydra.runtime.output_dir = "outputs"
            with suppress(OmegaConfBaseException):  # whoever checks the values finds it as well
                config.hydra.runtime.output_dir = config.hydra.run.dir
        return config

    def attempt(self, words: Sequence[str], number: int = 0) -> tuple[DictConfig | None, list[str], list[Mistake]]:
        """Compose, and where that fails go on without what is to blame, so that every mistake is found.

        Returns:
            DictConfig | None: The config of the words that are right; None where too little is left of it.
            list[str]: These words.
            list[Mistake]: What is wrong with the others; what is wrong with files is in `found`.
        """
        good, found = self.parsable(words)
        while True:
            try:
                config = self.compose(good, number)
            except Exception as error:  # Hydra's own errors, and what its code stumbles over
                word = self._to_blame(good, error)
                found.append(mistake_in(error, word, self._options))
                if word is None or word.lstrip("+").startswith(RECIPES):  # much hangs on these
                    return None, good, [*found, *self.found]
                group = key_of(word)
                below = (f"{group}.", f"+{group}.", f"++{group}.", f"~{group}.") if self._is_group(group) else "\0"
                good = [each for each in good if each != word and not each.startswith(below)]
                continue
            taken_out = [word for word in good if word.startswith("~") and key_of(word) in KEYS]
            missed = [word for word in taken_out if key_of(word) not in config]
            if not missed:
                return config, good, found
            found += [Mistake(key_of(word), NEEDED, f"leave {word} out", Place(word)) for word in missed]
            good = [word for word in good if word not in missed]

    def config_of(self, words: Sequence[str]) -> DictConfig:
        """Compose.

        Raises:
            UserError: Lists every mistake in the words, and in the files that they choose.
        """
        config, _, mistakes = self.attempt(words)
        refuse([*mistakes, *self.found])
        assert config is not None  # or a mistake says why
        return config

    def axes(self, words: Sequence[str]) -> dict[str, list[str] | IntervalSweep]:
        """The words that each key of a sweep takes in turn, in the order of the command line; a later key wins.

        An interval, which has no end of values, stands for itself.

        Raises:
            HydraException: A word does not follow Hydra's grammar.
        """
        axes: dict[str, list[str] | IntervalSweep] = {}
        for each in self.parsed(words):
            key = each.get_key_element()
            if each.is_interval_sweep():
                axes[key] = cast(IntervalSweep, each.value())
            elif each.is_sweep_override():
                axes[key] = [f"{key}={value}" for value in each.sweep_string_iterator()]
            else:
                axes[key] = [each.input_line or ""]
        return axes

    def shared(self, words: Sequence[str]) -> list[str]:
        """Return the words of a command line that hold for a whole sweep: enough to see its settings.

        Raises:
            HydraException: A word does not follow Hydra's grammar.
        """
        return shared_overrides(self.parsed(words), self._is_group)

    def parsed(self, words: Sequence[str]) -> list[Override]:
        """The words as Hydra reads them.

        Raises:
            HydraException: A word does not follow Hydra's grammar.
        """
        return self._parser.parse_overrides([*words])

    def is_choice(self, word: str) -> bool:
        """Whether a word chooses a file, and not a value."""
        return self._is_choice(self._parser.parse_override(word))

    def change(self, config: DictConfig, word: str) -> Any:
        """Set one value in a config that was composed.

        Returns:
            Any: The value as the config has it now, as plain containers, references unresolved.
        """
        override = self._parser.parse_override(f"++{word.lstrip('+')}" if word.startswith("+") else word)
        self._loader._apply_overrides_to_config([override], config)
        parent, _, name = override.key_or_group.rpartition(".")
        value: Any = (OmegaConf.select(config, parent) if parent else config)._get_node(name)
        return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value._value()

    def layers(self, words: Sequence[str]) -> list[Layer]:
        """What these words, which must be right, are composed of; later layers win."""
        return layers(self._loader, words)

    def parsable(self, words: Sequence[str]) -> tuple[list[str], list[Mistake]]:
        """The words that follow Hydra's grammar, and what is wrong with the others."""
        good, found = [], []
        for word in words:
            try:
                self._parser.parse_override(word)
                good.append(word)
            except HydraException as error:
                problem = f"Hydra cannot read it: {str(error).splitlines()[0]}"
                found.append(Mistake(word.partition("=")[0], problem, "quote what has a meaning in it", Place(word)))
        return good, found

    def _to_blame(self, words: Sequence[str], error: Exception) -> str | None:
        """The word without which this error is gone; None where it lies in a file."""

        def named(word: str) -> bool:  # the likely ones first
            return word not in str(error) and f"'{key_of(word)}'" not in str(error)

        for word in sorted(words, key=named):
            try:
                self.compose([each for each in words if each != word])
            except Exception as other:
                if str(other) == str(error):
                    continue
            return word
        return None

    def _decides(self, override: Override) -> bool:
        """Whether a word is known before anything is composed; values can be set afterwards."""
        return self._is_choice(override) or (override.is_hydra_override() and override.key_or_group not in OF_A_JOB)

    def _is_choice(self, override: Override) -> bool:
        return override.key_or_group == "hydra.searchpath" or self._is_group(override.key_or_group)

    @cache  # noqa: B019  composers are few
    def _is_group(self, key: str) -> bool:
        return "." not in key and bool(self._files.group_exists(key))

    def _options(self, group: str) -> list[str]:
        return self._files.get_group_options(group) if self._is_group(group) else []


def key_of(word: str) -> str:
    """The key that a word of the command line sets or chooses for."""
    return word.lstrip("+~").partition("=")[0]
