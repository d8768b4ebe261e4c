"""Expansion of a command line into the jobs of a sweep. Imports no torch.

The axes use Hydra's grammar: `seed=1,2`, `lr=range(1,4)`, `model=glob(*)`, `lr=interval(0.1,1)`. The settings `sweep.*`
select how they are combined: all combinations, keys in parallel (`zip`), several grids (`grids`), random samples
(`random_samples`), each job with several seeds (`seeds`), and with each fold of a cross-validation (`folds`).
"""

import itertools
import math
import random
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.override_parser.types import IntervalSweep
from omegaconf import DictConfig, OmegaConf

from trainer.config.compose import Composer
from trainer.config.schema import SweepConfig
from trainer.core.errors import UserError, did_you_mean
from trainer.core.metric_direction import Direction
from trainer.sweeps.jobs.shared_settings import compose_shared_config
from trainer.sweeps.optimized_metrics import resolve_optimized_metrics
from trainer.sweeps.search.dimensions import parse_interval

Axes = dict[str, list[str] | IntervalSweep]  # the overrides of each key
Bundle = list[tuple[str, ...]] | IntervalSweep  # the overrides of the keys of one axis, or an interval
MAX_DRAWS_PER_SAMPLE = 100  # draws for each sample, after which no new ones are expected
COUNT_SETTINGS = ("seeds", "random_samples", "n_trials", "workers", "jobs_per_gpu")  # null or at least 1


def expand(composer: Composer, overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each job of a sweep, in the order of the job numbers.

    Args:
        composer: Composer of the configs, which may also contain axes and settings of the sweep.
        overrides: Overrides of the command line.

    Raises:
        UserError: An axis is empty, settings contradict the axes, or the direction of the optimized metric is unknown.
        HydraException: An override does not follow Hydra's grammar.
    """
    config = compose_shared_config(composer, overrides)
    settings = config.sweep if config else OmegaConf.structured(SweepConfig)
    validate_counts(settings)
    resolve_optimized_metrics(config)
    fixed = [f"{key}={value}" for key, value in read_sweeper_params(config).items()]
    jobs: list[list[str]] = []
    for grid in settings.grids or [""]:
        axes = composer.parse_axes([*fixed, *overrides, *shlex.split(grid)])
        folds = _expand_folds(settings, config, axes)
        jobs += _expand_grid(axes, settings, _expand_seeds(settings, config, axes), folds)
    return jobs


def _expand_grid(axes: Axes, settings: Any, seeds: list[str], folds: list[list[str]]) -> Iterator[list[str]]:
    for key, values in axes.items():
        if not values:
            raise UserError(f"{key}: sweep axis without values; expected at least one")
    bundles = _zip_axes(axes, settings.zip)
    is_random = settings.random_samples is not None
    jobs = _iterate_samples(bundles, axes, settings) if is_random else _iterate_grid(bundles, axes)
    for overrides, seed, fold in itertools.product(jobs, [[seed] for seed in seeds] or [[]], folds or [[]]):
        yield [*overrides, *seed, *fold]


def compose_optimized_metrics(composer: Composer, overrides: Sequence[str]) -> dict[str, Direction]:
    """Return the optimized metrics of a sweep that is not a search, each with its direction.

    Raises:
        UserError: See `resolve_optimized_metrics`.
    """
    return resolve_optimized_metrics(compose_shared_config(composer, overrides))


def validate_counts(settings: Any) -> None:
    """Raise if a count in the settings of a sweep is too small; 0 is not the same as null.

    Raises:
        UserError: A count is too small.
    """
    for name in COUNT_SETTINGS:
        count = settings[name]
        if count is not None and count < 1:
            raise UserError(f"sweep.{name}: {count} is too small; expected null or a whole number of at least 1")
    if settings.retries < 0:
        raise UserError(f"sweep.retries: {settings.retries} is too small; expected a whole number of at least 0")


def read_sweeper_params(config: DictConfig | None) -> dict[str, Any]:
    """Return the axes in the config, which are stored where Hydra's own sweeper expects them."""
    return OmegaConf.select(config, "hydra.sweeper.params") or {} if config else {}


def _expand_seeds(settings: Any, config: DictConfig | None, axes: Axes) -> list[str]:
    if settings.seeds is None or config is None:
        return []
    if len(axes.get("seed") or ()) > 1:  # type: ignore[arg-type]
        raise UserError("sweep.seeds: seed is also an axis; expected only one of them")
    axes.pop("seed", None)
    return [f"seed={config.seed + number}" for number in range(settings.seeds)]


def _expand_folds(settings: Any, config: DictConfig | None, axes: Axes) -> list[list[str]]:
    """Return the overrides of each fold of a cross-validation; empty without one."""
    if settings.folds is None or config is None:
        return []
    if settings.folds < 2:
        raise UserError(f"sweep.folds: {settings.folds} is too small; expected null or at least 2")
    for key in ("data.folds", "data.fold"):
        if key in axes:
            raise UserError(f"sweep.folds: {key} is also set; expected only one of them")
    if "folds" not in (OmegaConf.select(config, "data") or {}):
        raise UserError(
            "sweep.folds: these data have no key data.folds; expected data that are split at random or "
            "in time: arrays, diabetes, digits, image_folder, stock, table or texts"
        )
    return [[f"data.folds={settings.folds}", f"data.fold={number}"] for number in range(settings.folds)]


def _zip_axes(axes: Axes, zips: Any) -> list[Bundle]:
    """Return the axes, with those of each group of `sweep.zip` as one."""
    groups = [[*zips]] if zips and isinstance(zips[0], str) else [[*group] for group in zips]
    for group in groups:
        lengths = {}
        for key in group:
            values = axes.get(key)
            if not isinstance(values, list) or len(values) < 2:
                names = [name for name, others in axes.items() if isinstance(others, list) and len(others) > 1]
                raise UserError(f"sweep.zip: '{key}' is not an axis with a list of values{did_you_mean(key, names)}")
            lengths[key] = len(values)
        if len({*lengths.values()}) > 1:
            text = ", ".join(f"{key} has {length}" for key, length in lengths.items())
            raise UserError(f"sweep.zip: {text} values; expected axes of equal length")
    followers = {group[0]: group[1:] for group in groups}
    bundles: list[Bundle] = []
    for key, values in axes.items():
        if isinstance(values, IntervalSweep):
            bundles.append(values)
        elif not any(key in group[1:] for group in groups):
            columns = [values, *(axes[name] for name in followers.get(key, []))]
            bundles.append([*zip(*columns, strict=True)])
    return bundles


def _iterate_grid(bundles: list[Bundle], axes: Axes) -> Iterator[list[str]]:
    for key, values in axes.items():
        if isinstance(values, IntervalSweep):
            raise UserError(
                f"{key}: an interval is not a list of values; expected sweep.random_samples=20 to draw from it,"
                " or sweep.n_trials=20 to search it"
            )
    for combination in itertools.product(*bundles):  # type: ignore[arg-type]
        yield [override for overrides in combination for override in overrides]


def _iterate_samples(bundles: list[Bundle], axes: Axes, settings: Any) -> Iterator[list[str]]:
    """Yield distinct samples; a larger number of samples starts with the same ones."""
    names = iter(key for key, values in axes.items() if isinstance(values, IntervalSweep))
    sources = [(next(names) if isinstance(bundle, IntervalSweep) else "", bundle) for bundle in bundles]
    samples: set[tuple[str, ...]] = set()
    for number in range(MAX_DRAWS_PER_SAMPLE * settings.random_samples):
        rng = random.Random(f"{settings.sample_seed}/{number}")
        overrides = [override for key, bundle in sources for override in _sample_value(rng, key, bundle)]
        if tuple(overrides) not in samples:
            samples.add(tuple(overrides))
            yield overrides
        if len(samples) == settings.random_samples:
            return


def _sample_value(rng: random.Random, key: str, bundle: Bundle) -> tuple[str, ...]:
    if isinstance(bundle, list):
        return rng.choice(bundle)
    dimension = parse_interval(key, bundle)
    low = dimension.low
    high = dimension.high
    if dimension.whole and not dimension.log:
        return (f"{key}={rng.randint(int(low), int(high))}",)
    if dimension.whole:  # each integer has the interval of half a unit around it
        value = math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
        return (f"{key}={min(max(round(value), int(low)), int(high))}",)
    if dimension.log:
        return (f"{key}={math.exp(rng.uniform(math.log(low), math.log(high))):.6g}",)
    return (f"{key}={rng.uniform(low, high):.6g}",)
