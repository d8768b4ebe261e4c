"""Settings of a whole sweep, resolved once before its first job starts. Imports no torch.

Hydra resolves `hydra.sweep.dir` again in each job. If the model, data or experiment is swept, the jobs would then be
written to different directories.
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
from trainer.core.override_format import escape_interpolation, quote_text

GLOBAL_GROUPS = ("experiment", "hparams_search", "debug")  # their files may set any key
SWEPT_PLACEHOLDER = "multirun"  # replaces a swept value in the path of a sweep


def shared_overrides(overrides: Sequence[Override], is_group: Callable[[str], bool]) -> list[str]:
    """Return the overrides that hold for a whole sweep.

    Swept overrides are left out. Other overrides may depend on a swept config group or an added key: these keep their
    first value.

    Args:
        overrides: Parsed command line.
        is_group: Returns whether a key is a config group.
    """
    shared = []
    for override in overrides:
        if not override.is_sweep_override() or override.is_hydra_override():
            shared.append(override.input_line or "")
        elif is_group(override.key_or_group) or override.is_add() or override.is_force_add():
            shared += [f"{override.get_key_element()}={value}" for value in _iter_values(override)][:1]
    return shared


def pin_sweep_directory(config: DictConfig, overrides: Sequence[Override]) -> None:
    """Replace `hydra.sweep.dir` by an override with its resolved value, so that all jobs use the same directory.

    Args:
        config: Config of the `shared_overrides`; it is modified.
        overrides: Parsed command line.
    """
    path = resolve_sweep_directory(config, overrides)
    current = [override for override in overrides if override.key_or_group == "hydra.sweep.dir"]
    if current and current[-1].value() == path:
        return
    others = [item.input_line for item in overrides if item.is_hydra_override() and item not in current]
    with flag_override(config, ["readonly", "struct"], False):
        config.hydra.sweep.dir = escape_interpolation(path)
        config.hydra.overrides.hydra = [*others, f"hydra.sweep.dir={quote_path(path)}"]


def resolve_sweep_directory(config: DictConfig, overrides: Sequence[Override]) -> str:
    """Return the resolved `hydra.sweep.dir` of a sweep, in which `multirun` replaces each swept value.

    Args:
        config: Config of the `shared_overrides`.
        overrides: Parsed command line.

    Raises:
        UserError: The path cannot be resolved.
    """
    untyped = _copy_without_job(config)
    choices = untyped.hydra.runtime.choices
    swept = find_swept_keys(config, overrides)
    if swept.intersection(GLOBAL_GROUPS):
        swept |= {"task_name", *choices} - {override.key_or_group for override in overrides}
    try:
        for key in swept - {"outputs"}:
            if key in choices:
                choices[key] = SWEPT_PLACEHOLDER
            else:
                OmegaConf.update(untyped, key, SWEPT_PLACEHOLDER, merge=False, force_add=True)
        return re.sub(f"{SWEPT_PLACEHOLDER}(_{SWEPT_PLACEHOLDER})+", SWEPT_PLACEHOLDER, _resolve_sweep_dir(untyped))
    except OmegaConfBaseException:  # for example, the path contains a part of a swept value
        pass
    try:
        return _resolve_sweep_dir(_copy_without_job(config))
    except OmegaConfBaseException as error:
        problem = f"hydra.sweep.dir: {str(error).splitlines()[0]}"
        raise UserError(f"{problem}; expected a path that does not depend on a single job") from error


def find_swept_keys(config: DictConfig, overrides: Sequence[Override]) -> set[str]:
    """Return the keys and config groups that have several values in a sweep.

    Args:
        config: Config of the `shared_overrides`; it may define further axes.
        overrides: Parsed command line.
    """
    settings = config.get("sweep") or {}
    params = OmegaConf.select(config, "hydra.sweeper.params") or {}
    grids = [override.partition("=")[0] for grid in settings.get("grids") or [] for override in shlex.split(grid)]
    repeated = {key for key, setting in (("seed", "seeds"), ("data.fold", "folds")) if settings.get(setting)}
    axes = {override.key_or_group for override in overrides if override.is_sweep_override()}
    return axes | repeated | {str(key).lstrip("+~") for key in [*params, *grids]}


def quote_path(path: object) -> str:
    """Return a path as a value in the grammar of Hydra's overrides."""
    return quote_text(escape_interpolation(path))


def get_raw_overrides(overrides: Any) -> list[str]:
    """Return recorded overrides with each `${...}` unresolved."""
    items: Any = OmegaConf.to_container(overrides)
    return [str(item) for item in items]


def parse_overrides(overrides: Sequence[str], config_loader: Any) -> list[Override]:
    """Parse a command line; globs of choices need the config loader."""
    return OverridesParser.create(config_loader=config_loader).parse_overrides([*overrides])


def _iter_values(override: Override) -> Iterator[object]:
    value = override.value()
    if isinstance(value, IntervalSweep):
        yield value.start
    else:
        yield from override.sweep_string_iterator()


def _copy_without_job(config: DictConfig) -> Any:
    """Return an untyped copy, in which text may replace a number, without the job's own number and id."""
    copy: Any = OmegaConf.create(OmegaConf.to_container(config))
    copy.hydra.job.update(num="???", id="???")
    return copy


def _resolve_sweep_dir(config: DictConfig) -> str:
    with _active_hydra_config(config):
        return str(OmegaConf.select(config, "hydra.sweep.dir", throw_on_missing=True))


@contextmanager
def _active_hydra_config(config: DictConfig) -> Iterator[None]:
    """Let `${hydra:...}` refer to this config."""
    instance = HydraConfig.instance()
    previous = instance.cfg
    instance.cfg = config  # type: ignore[assignment]
    try:
        yield
    finally:
        instance.cfg = previous
