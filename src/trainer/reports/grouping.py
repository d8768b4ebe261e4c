"""Groups of runs with the same config and different seeds or folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from trainer.artifacts.fingerprint import relative_paths
from trainer.artifacts.run_diff import flatten_relevant_config
from trainer.artifacts.run_record import RunRecord
from trainer.config.compose import get_override_key
from trainer.core.mappings import group_pairs
from trainer.reports.folds import FOLD_KEY, Folds, read_folds
from trainer.reports.statistics import Difference, Estimate, Seed, estimate

IGNORED_OVERRIDE_PREFIXES = ("seed=", "data.seed=", "hydra", "callbacks.pruning")
SEED_KEYS = ("seed", "data.seed")
COLUMNS_KEY = "data.columns"  # types of the columns of a table: found in its file, unless an override sets some


@dataclass(frozen=True)
class Group:
    """Runs of one config with different seeds, or on different folds of a cross-validation.

    Args:
        overrides: Command-line overrides that not all groups have.
        settings: Values of the swept keys.
        values: Metric by seed, or by seed and fold; the mean of runs with the same ones.
        seconds: Total time of the runs.
        runs: Records of the runs.
        estimate: Estimate of the metric.
        folds: Cross-validation that the runs are part of; None if they are not.
        versions: Numbers of the code versions, if the report has several.
        comparison: Comparison with the baseline; None for the baseline itself.
    """

    overrides: str
    settings: dict[str, Any]
    values: dict[Seed, float]
    seconds: float
    runs: list[RunRecord]
    estimate: Estimate
    folds: Folds | None = None
    versions: tuple[int, ...] = ()
    comparison: Difference | None = None


@dataclass(frozen=True)
class PooledMetric:
    """Metric of the test examples of all folds, each predicted by the run that was not trained on it.

    Args:
        config: Overrides of the group, or the name of a choice among groups; with the seed if there are several.
        metric: Name of the metric.
        value: Metric of all predictions together.
        interval: 95 % interval; None if the metric is not defined for many resamples.
        examples: Number of test examples of all folds.
        available: Number of examples of the data set; more if the folds are in the order of time.
        folds: Number of folds.
    """

    config: str
    metric: str
    value: float
    interval: tuple[float, float] | None
    examples: int
    available: int
    folds: int


def extract_configs(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Return the result-relevant values of each run, without its directory, its seeds and its fold."""
    configs = [
        relative_paths(flatten_relevant_config(record), record.path, record.path.absolute()) for record in records
    ]
    seeds = [record.config.get("seed") for record in records]
    keys = dict.fromkeys(key for config in configs for key in config)
    seed_keys = {
        key
        for key in keys
        if key in SEED_KEYS or (key.endswith("seed") and [config.get(key) for config in configs] == seeds)
    }
    has_set_columns = any(COLUMNS_KEY in override for record in records for override in record.overrides)
    found_keys = {key for key in keys if key.startswith(f"{COLUMNS_KEY}.") and not has_set_columns}
    ignored = seed_keys | found_keys
    return [
        {key: value for key, value in config.items() if key not in ignored | ({FOLD_KEY} if folds else set())}
        for config, folds in zip(configs, map(read_folds, records), strict=True)
    ]


def find_swept_keys(configs: Sequence[dict[str, Any]]) -> list[str]:
    """Return the keys whose values differ between runs."""
    keys = dict.fromkeys(key for config in configs for key in config)
    return [key for key in keys if len({str(config.get(key)) for config in configs}) > 1]


def drop_redundant_keys(configs: Sequence[dict[str, Any]], swept: Sequence[str]) -> list[str]:
    """Return the first of each set of keys that change together, such as the keys of a config group."""
    first: dict[tuple[int, ...], str] = {}
    for key in swept:
        values = [str(config.get(key)) for config in configs]
        first.setdefault(tuple(map(values.index, values)), key)
    return [*first.values()]


def group_runs(
    records: Sequence[RunRecord], configs: Sequence[dict[str, Any]], swept: Sequence[str]
) -> dict[str, list[RunRecord]]:
    """Return the runs of each config, in order, by the overrides that distinguish the config."""
    common = set.intersection(*(set(record.overrides) for record in records))
    values_of_runs = [tuple(str(config.get(key)) for key in swept) for config in configs]
    runs_by_values = group_pairs(zip(values_of_runs, records, strict=True))
    names = {values: _format_swept_overrides(runs[0], swept, common) for values, runs in runs_by_values.items()}
    values_by_name = group_pairs((name, values) for values, name in names.items())
    for name, rows in values_by_name.items():  # a config file may have changed between runs with equal overrides
        varied = [index for index in range(len(swept)) if len({values[index] for values in rows}) > 1]
        for values in rows:
            names[values] = " ".join(filter(None, [name, *(f"{swept[index]}={values[index]}" for index in varied)]))
    return {names[values]: runs for values, runs in runs_by_values.items()}


def _format_swept_overrides(record: RunRecord, swept: Sequence[str], common: set[str]) -> str:
    """Return the overrides of swept keys, or their values if they have no overrides."""
    candidates = [
        override for override in record.overrides if not override.lstrip("+").startswith(IGNORED_OVERRIDE_PREFIXES)
    ]
    overrides = [
        override
        for override in candidates
        if override not in common and any(_is_override_of(override, key) for key in swept)
    ]
    return " ".join(overrides) or " ".join(f"{key}={record.config.get(key)}" for key in swept)


def _is_override_of(override: str, key: str) -> bool:
    name = get_override_key(override)
    return key == name or key.startswith(f"{name}.") or name == "experiment"


def _average_by_seed(records: Sequence[RunRecord], metric: str) -> dict[Seed, float]:
    values: dict[Seed, list[float]] = {}
    for index, record in enumerate(records):
        seed = record.config.get("seed", index)
        data_seed = record.config.get("data.seed", seed)
        if isinstance(data_seed, list | dict):  # of a data module of the user
            data_seed = str(data_seed)
        key: Seed = (seed, data_seed) if data_seed != seed else seed
        if folds := read_folds(record):
            key = (key, record.config[FOLD_KEY], folds)
        values.setdefault(key, []).append(record.metrics[metric])
    return {seed: fmean(group) for seed, group in values.items()}


def build_group(
    overrides: str, runs: list[RunRecord], metric: str, swept: Sequence[str], versions: Mapping[Path, int]
) -> Group:
    """Return the runs of one config as a group without a comparison."""
    values = _average_by_seed(runs, metric)
    settings = {key: runs[0].config.get(key) for key in swept}
    seconds = sum(record.seconds or 0.0 for record in runs)
    group_versions = tuple(sorted({versions[run.path] for run in runs if run.path in versions}))
    folds = read_folds(runs[0])
    group_estimate = estimate([*values.values()], folds)
    return Group(overrides, settings, values, seconds, runs, group_estimate, folds, group_versions)
