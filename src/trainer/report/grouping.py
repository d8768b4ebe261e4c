"""Groups: the runs of a sweep by config, those that differ in the seed alone put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from trainer.artifacts.fingerprint import placeless
from trainer.artifacts.run_diff import essential_config
from trainer.artifacts.run_record import Record
from trainer.config.compose import key_of
from trainer.report.statistics import Difference, Estimate, Seed, estimate

NOT_SWEPT = ("seed=", "data.seed=", "hydra", "callbacks.pruning")
SEEDS = ("seed", "data.seed")  # in these the runs of a group differ


@dataclass(frozen=True)
class Group:
    """Runs of one config with several seeds.

    Args:
        words: What is typed for it, of what not all groups have.
        settings: The swept values.
        values: The metric by seed; of runs with the same seed their mean.
        seconds: Of all its runs together.
        runs: Their records.
        estimate: Of the metric.
        versions: Numbers of the code versions of its runs, if the runs of the report have several.
        against: The comparison with the baseline; None for the baseline itself.
    """

    words: str
    settings: dict[str, Any]
    values: dict[Seed, float]
    seconds: float
    runs: list[Record]
    estimate: Estimate
    versions: tuple[int, ...] = ()
    against: Difference | None = None


def configs_of(found: Sequence[Record]) -> list[dict[str, Any]]:
    """Return the values of each run that decide numbers, without its directory, its seeds and what repeats the seed."""
    configs = [placeless(essential_config(record), record.path, record.path.absolute()) for record in found]
    seeds = [record.config.get("seed") for record in found]
    keys = dict.fromkeys(key for config in configs for key in config)
    of_seed = {
        key
        for key in keys
        if key in SEEDS or (key.endswith("seed") and [config.get(key) for config in configs] == seeds)
    }
    return [{key: value for key, value in config.items() if key not in of_seed} for config in configs]


def swept_in(configs: Sequence[dict[str, Any]]) -> list[str]:
    """Return the keys of the config that not all runs agree on."""
    keys = dict.fromkeys(key for config in configs for key in config)
    return [key for key in keys if len({str(config.get(key)) for config in configs}) > 1]


def apart(configs: Sequence[dict[str, Any]], swept: Sequence[str]) -> list[str]:
    """Return the first of those keys that change together, as the keys of a choice do."""
    first: dict[tuple[int, ...], str] = {}
    for key in swept:
        values = [str(config.get(key)) for config in configs]
        first.setdefault(tuple(map(values.index, values)), key)
    return [*first.values()]


def grouped(
    found: Sequence[Record], configs: Sequence[dict[str, Any]], swept: Sequence[str]
) -> dict[str, list[Record]]:
    """Return the runs of each config by the words that tell it apart, in the order in which they were run."""
    common = set.intersection(*(set(record.overrides) for record in found))
    runs_of: dict[tuple[str, ...], list[Record]] = {}
    for record, config in zip(found, configs, strict=True):
        runs_of.setdefault(tuple(str(config.get(key)) for key in swept), []).append(record)
    named = {values: _words(runs[0], swept, common) for values, runs in runs_of.items()}
    alike: dict[str, list[tuple[str, ...]]] = {}
    for values, words in named.items():
        alike.setdefault(words, []).append(values)
    for words, several in alike.items():
        varied = [place for place in range(len(swept)) if len({values[place] for values in several}) > 1]
        for values in several:  # a file may have changed, so that the same words make different configs
            named[values] = " ".join(filter(None, [words, *(f"{swept[place]}={values[place]}" for place in varied)]))
    return {named[values]: runs for values, runs in runs_of.items()}


def _words(record: Record, swept: Sequence[str], common: set[str]) -> str:
    """Return the words that were typed for what is swept, or its values if it was not typed word for word."""
    typed = [word for word in record.overrides if not word.lstrip("+").startswith(NOT_SWEPT)]
    told = [word for word in typed if word not in common and any(_is_about(word, key) for key in swept)]
    return " ".join(told) or " ".join(f"{key}={record.config.get(key)}" for key in swept)


def _is_about(word: str, key: str) -> bool:
    name = key_of(word)
    return key == name or key.startswith(f"{name}.") or name == "experiment"


def _values(found: Sequence[Record], metric: str) -> dict[Seed, float]:
    of_seed: dict[Seed, list[float]] = {}
    for number, record in enumerate(found):
        seed = record.config.get("seed", number)
        of_data = record.config.get("data.seed", seed)
        of_seed.setdefault((seed, of_data) if of_data != seed else seed, []).append(record.metrics[metric])
    return {seed: fmean(values) for seed, values in of_seed.items()}


def group_of(words: str, runs: list[Record], metric: str, swept: Sequence[str], versions: Mapping[Path, int]) -> Group:
    """Return the runs of one config as a group, not compared with the baseline yet."""
    values = _values(runs, metric)
    settings = {key: runs[0].config.get(key) for key in swept}
    seconds = sum(record.seconds or 0.0 for record in runs)
    of_code = tuple(sorted({versions[run.path] for run in runs if run.path in versions}))
    return Group(words, settings, values, seconds, runs, estimate([*values.values()]), of_code)
