"""The plan: from the words of a command line to the jobs of a sweep. Imports no torch.

The axes are Hydra's: `seed=1,2`, `lr=range(1,4)`, `model=glob(*)`, `lr=interval(0.1,1)`. `sweep.*` says what becomes of
them: every combination, keys in step (`zip`), several grids (`grids`), draws (`samples`), and each with several seeds.
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
from trainer.config.schema import Sweep
from trainer.core.errors import UserError, did_you_mean
from trainer.core.metric_direction import Direction
from trainer.sweep.jobs.shared_settings import shared_config
from trainer.sweep.optimized_metrics import optimized
from trainer.sweep.search.dimensions import numbers_of_interval

Axes = list[
    list[tuple[str, ...]] | IntervalSweep
]  # of each axis, the words that go together; an interval has any number
ENOUGH = 100  # draws for each sample, after which no new ones are expected
COUNTS = ("seeds", "samples", "trials", "workers", "jobs_per_gpu")  # settings that are null or at least 1


def expand(composer: Composer, typed: Sequence[str]) -> list[list[str]]:
    """The words of each job of a sweep, in the order in which they are numbered.

    Args:
        composer: Makes the configs, which may hold axes and settings of the sweep as well.
        typed: The words of the command line.

    Raises:
        UserError: An axis is empty, the settings of the sweep do not go with the axes, or it is unknown whether the
            optimized metric is to be small or large.
        HydraException: A word does not follow Hydra's grammar.
    """
    config = shared_config(composer, typed)
    settings = config.sweep if config else OmegaConf.structured(Sweep)
    refuse_counts(settings)
    optimized(config)
    fixed = [f"{key}={value}" for key, value in params_of(config).items()]
    jobs: list[list[str]] = []
    for grid in settings.grids or [""]:
        axes = composer.axes([*fixed, *typed, *shlex.split(grid)])
        jobs += _jobs(axes, settings, _seeds(settings, config, axes))
    return jobs


def _jobs(axes: dict[str, list[str] | IntervalSweep], settings: Any, seeds: list[str]) -> Iterator[list[str]]:
    for key, values in axes.items():
        if not values:
            raise UserError(f"{key}: this axis of the sweep has no value; leave it out, or give it some")
    bundles = _zipped(axes, settings.zip)
    repeats = [[seed] for seed in seeds] or [[]]
    combinations = _drawn(bundles, axes, settings) if settings.samples is not None else _all(bundles, axes)
    for words, seed in itertools.product(combinations, repeats):
        yield [*words, *seed]


def optimized_by(composer: Composer, typed: Sequence[str]) -> dict[str, Direction]:
    """Return the optimized metrics of a sweep that is no search, each with its direction.

    Raises:
        UserError: See `optimized`.
    """
    return optimized(shared_config(composer, typed))


def refuse_counts(settings: Any) -> None:
    """Refuse counts in the settings of a sweep that ask for nothing: 0 is not the same as null.

    Raises:
        UserError: A count is too small.
    """
    for name in COUNTS:
        count = settings[name]
        if count is not None and count < 1:
            raise UserError(f"sweep.{name}: {count} is too small; expected null or a whole number of at least 1")
    if settings.retries < 0:
        raise UserError(f"sweep.retries: {settings.retries} is too small; expected a whole number of at least 0")


def params_of(config: DictConfig | None) -> dict[str, Any]:
    """Axes that stand in the config, as Hydra's own sweeper has them."""
    return OmegaConf.select(config, "hydra.sweeper.params") or {} if config else {}


def _seeds(settings: Any, config: DictConfig | None, axes: dict[str, list[str] | IntervalSweep]) -> list[str]:
    if settings.seeds is None or config is None:
        return []
    if len(axes.get("seed") or ()) > 1:  # type: ignore[arg-type]
        raise UserError("sweep.seeds: seed is an axis by itself; leave one of them out")
    axes.pop("seed", None)
    return [f"seed={config.seed + number}" for number in range(settings.seeds)]


def _zipped(axes: dict[str, list[str] | IntervalSweep], zips: Any) -> Axes:
    """The axes, those that go in step as one."""
    groups = [[*zips]] if zips and isinstance(zips[0], str) else [[*group] for group in zips]
    heads: dict[str, list[str]] = {}
    for group in groups:
        lengths = {}
        for key in group:
            values = axes.get(key)
            if not isinstance(values, list) or len(values) < 2:
                known = [name for name, words in axes.items() if isinstance(words, list) and len(words) > 1]
                raise UserError(f"sweep.zip: '{key}' has no list of values here{did_you_mean(key, known)}")
            lengths[key] = len(values)
        if len({*lengths.values()}) > 1:
            told = ", ".join(f"{key} has {length}" for key, length in lengths.items())
            raise UserError(f"sweep.zip: axes in step need as many values each: {told}")
        heads[group[0]] = group
    followers = {key for group in groups for key in group[1:]}
    bundles: Axes = []
    for key, values in axes.items():
        if isinstance(values, IntervalSweep):
            bundles.append(values)
        elif key not in followers:
            together = [values, *(axes[other] for other in heads.get(key, [])[1:])]
            bundles.append([*zip(*together, strict=True)])
    return bundles


def _all(bundles: Axes, axes: dict[str, list[str] | IntervalSweep]) -> Iterator[list[str]]:
    for key, values in axes.items():
        if isinstance(values, IntervalSweep):
            raise UserError(
                f"{key}: an interval has no list of values; sweep.samples=20 draws from it, sweep.trials=20 searches it"
            )
    for combination in itertools.product(*bundles):  # type: ignore[arg-type]
        yield [word for words in combination for word in words]


def _drawn(bundles: Axes, axes: dict[str, list[str] | IntervalSweep], settings: Any) -> Iterator[list[str]]:
    """Different draws, of which a longer list has the shorter one as its beginning."""
    names = iter(key for key, values in axes.items() if isinstance(values, IntervalSweep))
    sources = [(next(names) if isinstance(each, IntervalSweep) else "", each) for each in bundles]
    drawn: set[tuple[str, ...]] = set()
    for number in range(ENOUGH * settings.samples):
        dice = random.Random(f"{settings.sample_seed}/{number}")
        words = [word for key, each in sources for word in _draw(dice, key, each)]
        if tuple(words) not in drawn:
            drawn.add(tuple(words))
            yield words
        if len(drawn) == settings.samples:
            return


def _draw(dice: random.Random, key: str, source: list[tuple[str, ...]] | IntervalSweep) -> tuple[str, ...]:
    if isinstance(source, list):
        return dice.choice(source)
    numbers = numbers_of_interval(key, source)
    low, high = numbers.low, numbers.high
    if numbers.whole and not numbers.log:
        return (f"{key}={dice.randint(int(low), int(high))}",)
    if numbers.whole:  # each whole number stands for the interval of half a unit around it
        drawn = math.exp(dice.uniform(math.log(low - 0.5), math.log(high + 0.5)))
        return (f"{key}={min(max(round(drawn), int(low)), int(high))}",)
    if numbers.log:
        return (f"{key}={math.exp(dice.uniform(math.log(low), math.log(high))):.6g}",)
    return (f"{key}={dice.uniform(low, high):.6g}",)
