"""Settings of a whole sweep, resolved once before its first job starts. Imports no torch.

Hydra resolves `hydra.sweep.dir` again in each job. A job whose model, data or experiment is swept then gets a directory
of its own, and the sweep loses sight of it.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from trainer.core.errors import UserError

GLOBAL_GROUPS = ("experiment", "hparams_search", "debug")  # their files may set any key
SWEPT = "multirun"  # replaces a swept value in the path of a sweep


def shared_overrides(overrides: Sequence[Override], is_group: Callable[[str], bool]) -> list[str]:
    """Return the overrides that hold for a whole sweep.

    The others, which are swept, are left out, except those that keys of the other overrides may depend on: of a config
    group and of an added key the first value is taken.

    Args:
        overrides: Parsed command line.
        is_group: Returns whether a key is a config group.
    """
    shared = []
    for each in overrides:
        if not each.is_sweep_override() or each.is_hydra_override():
            shared.append(each.input_line or "")
        elif is_group(each.key_or_group) or each.is_add() or each.is_force_add():
            shared += [f"{each.get_key_element()}={value}" for value in _values(each)][:1]
    return shared


def fix_directory(config: DictConfig, overrides: Sequence[Override]) -> None:
    """Replace `hydra.sweep.dir` by its resolved value, as if it had been typed, so that all jobs get the same one.

    Args:
        config: Composed from the `shared_overrides`; it is changed.
        overrides: Parsed command line.
    """
    path = directory_of(config, overrides)
    typed = [each for each in overrides if each.key_or_group == "hydra.sweep.dir"]
    if typed and typed[-1].value() == path:
        return
    others = [each.input_line for each in overrides if each.is_hydra_override() and each not in typed]
    with flag_override(config, ["readonly", "struct"], False):
        config.hydra.sweep.dir = escaped(path)
        config.hydra.overrides.hydra = [*others, f"hydra.sweep.dir={quoted(path)}"]


def directory_of(config: DictConfig, overrides: Sequence[Override]) -> str:
    """Return the resolved `hydra.sweep.dir` of a sweep, with `multirun` in place of each swept value.

    Args:
        config: Composed from the `shared_overrides`.
        overrides: Parsed command line.

    Raises:
        UserError: The path cannot be resolved.
    """
    untyped = _without_job(config)
    choices = untyped.hydra.runtime.choices
    swept = swept_keys(config, overrides)
    if swept.intersection(GLOBAL_GROUPS):
        swept |= {"task_name", *choices} - {each.key_or_group for each in overrides}
    try:
        for key in swept - {"outputs"}:
            if key in choices:
                choices[key] = SWEPT
            else:
                OmegaConf.update(untyped, key, SWEPT, merge=False, force_add=True)
        return re.sub(f"{SWEPT}(_{SWEPT})+", SWEPT, _resolved(untyped))
    except OmegaConfBaseException:  # the path names a part of a swept value, for example
        pass
    try:
        return _resolved(_without_job(config))
    except OmegaConfBaseException as error:
        problem = f"hydra.sweep.dir: {str(error).splitlines()[0]}"
        raise UserError(f"{problem}; expected a path that does not depend on a single job") from error


def swept_keys(config: DictConfig, overrides: Sequence[Override]) -> set[str]:
    """Return the keys, and config groups, that have several values in a sweep.

    Args:
        config: Composed from the `shared_overrides`; it may contain further axes.
        overrides: Parsed command line.
    """
    settings = config.get("sweep") or {}
    params = OmegaConf.select(config, "hydra.sweeper.params") or {}
    in_grids = [word.partition("=")[0] for grid in settings.get("grids") or [] for word in shlex.split(grid)]
    seed = {"seed"} if settings.get("seeds") else set()
    typed = {each.key_or_group for each in overrides if each.is_sweep_override()}
    return typed | seed | {str(key).lstrip("+~") for key in [*params, *in_grids]}


def quoted(path: object) -> str:
    """Return a path as a value in the grammar of Hydra's overrides."""
    return "'" + re.sub(r"(\\*)('|$)", lambda end: end[1] * 2 + end[2].replace("'", "\\'"), escaped(path)) + "'"


def escaped(path: object) -> str:
    """Return a path as a value of a config, in which `${` starts no interpolation."""
    return str(path).replace("${", "\\${")


def unresolved(words: Any) -> list[str]:
    """Return a list of overrides in which each `${...}` is left to the config that it is meant for."""
    found: Any = OmegaConf.to_container(words)
    return [str(word) for word in found]


def parsed(words: Sequence[str], config_loader: Any) -> list[Override]:
    """Parse a command line; the loader is needed for globs of choices."""
    return OverridesParser.create(config_loader=config_loader).parse_overrides([*words])


def _values(override: Override) -> Iterator[object]:
    value = override.value()
    if isinstance(value, IntervalSweep):
        yield value.start
    else:
        yield from override.sweep_string_iterator()


def _without_job(config: DictConfig) -> Any:
    """Return an untyped copy, in which a word may replace a number, without what Hydra sets in each job."""
    copy: Any = OmegaConf.create(OmegaConf.to_container(config))
    copy.hydra.job.update(num="???", id="???")
    return copy


def _resolved(config: DictConfig) -> str:
    with _known_to_hydra(config):
        return str(OmegaConf.select(config, "hydra.sweep.dir", throw_on_missing=True))


@contextmanager
def _known_to_hydra(config: DictConfig) -> Iterator[None]:
    """Let `${hydra:...}` refer to this config."""
    instance = HydraConfig.instance()
    before = instance.cfg
    instance.cfg = config  # type: ignore[assignment]
    try:
        yield
    finally:
        instance.cfg = before
