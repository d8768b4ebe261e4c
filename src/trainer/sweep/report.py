"""Report: the runs of a sweep grouped by config, seeds put together, as tables and as the file of the best config."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.artifacts.causes import essential_config
from trainer.artifacts.fingerprint import is_within
from trainer.artifacts.record import Record, records, smaller_is_better
from trainer.compose import key_of
from trainer.errors import UserError, did_you_mean
from trainer.sweep.statistics import Difference, Estimate, difference, estimate, importances

NOT_SWEPT = ("seed=", "data.seed=", "hydra", "callbacks.pruning")
DATA_SETS = ("data._target_", "data.path")
NOT_IN_LOSS = ("objective.metrics", "objective.penalty")  # of the validation
SEEDS = ("seed", "data.seed")  # in these the runs of a group differ


@dataclass(frozen=True)
class Group:
    """Runs of one config with several seeds.

    Args:
        words: What is typed for it, of what not all groups have.
        settings: The swept values.
        values: The metric by seed.
        seconds: Of all its runs together.
        runs: Their records.
        estimate: Of the metric.
        against: The comparison with the baseline; None for the baseline itself.
    """

    words: str
    settings: dict[str, Any]
    values: dict[int, float]
    seconds: float
    runs: list[Record]
    estimate: Estimate
    against: Difference | None = None


@dataclass(frozen=True)
class Report:
    """What a sweep has shown.

    Args:
        metric: Which number was looked at.
        higher: Whether more of it is better.
        groups: The best first.
        baseline: Which one the others are compared with.
        importances: Share of the variance that each swept parameter explains by itself.
        left_out: Runs without that number, by their state.
        incomparable: Swept keys that change what the metric measures.
    """

    metric: str
    higher: bool
    groups: list[Group]
    baseline: str
    importances: dict[str, float]
    left_out: dict[str, int]
    incomparable: list[str]

    @property
    def best_run(self) -> Record:
        """The run with the best value in the best group."""
        group = self.groups[0]
        return (max if self.higher else min)(group.runs, key=lambda run: run.metrics[self.metric])

    @property
    def notes(self) -> list[str]:
        """What the table does not show: runs that it leaves out, and configs that cannot be compared by the metric."""
        notes = [f"left out: {count} {state} run(s) without {self.metric}" for state, count in self.left_out.items()]
        if self.incomparable:
            notes.append(f"not comparable by {self.metric}: the configs differ in {', '.join(self.incomparable)}")
        return notes


def report_of(
    folder: Path, metric: str | None = None, baseline: str | None = None, direction: str | None = None
) -> Report:
    """Group and compare all runs below a folder.

    Args:
        folder: Of a sweep, or of several.
        metric: By its name; None takes the sweep's `optimized_metric`, or the best of what checkpoints were chosen by.
        baseline: Words of one group, e.g. `"optimizer.lr=0.1"`; None takes the first that was run.
        direction: `"min"` or `"max"`; None for what the sweep, or else the metric's name, says.

    Raises:
        UserError: There is nothing to report, or no such metric or group.
    """
    found = [*records(folder)] if folder.is_dir() else []
    if not found:
        raise UserError(f"no runs below '{folder}'")
    finished = [record for record in found if record.state == "finished"]
    metric = metric or _usual_metric(finished)
    known = sorted({name for record in finished for name in record.metrics})
    if metric is None:
        raise UserError(f"metric: no run has a metric of the validation; choose one of {', '.join(known) or 'none'}")
    if metric not in known:
        raise UserError(f"metric: no finished run has '{metric}'{did_you_mean(str(metric), known)}")
    with_value = [record for record in finished if metric in record.metrics]
    swept = _swept(with_value)
    common = set.intersection(*(set(record.overrides) for record in with_value))
    grouped: dict[str, list[Record]] = {}
    for record in with_value:
        grouped.setdefault(_words(record, swept, common), []).append(record)
    compared = _baseline(grouped, baseline)
    first = _values(grouped[compared], metric)
    said = (with_value[0].nested_config.get("sweep") or {}).get("direction")
    direction = direction or (said[0] if isinstance(said, list) else said)
    higher = direction == "max" if direction else not smaller_is_better(metric)
    groups = [
        _group(words, runs, metric, swept, None if words == compared else first) for words, runs in grouped.items()
    ]
    groups.sort(key=lambda group: group.estimate.mean, reverse=higher)
    settings = [{key: record.config.get(key) for key in _apart(with_value, swept)} for record in with_value]
    shares = importances(settings, [record.metrics[metric] for record in with_value]) if swept else {}
    shares = {key.removesuffix("._target_"): share for key, share in shares.items()}
    left_out = Counter(record.state for record in found if record not in with_value)
    return Report(metric, higher, groups, compared, shares, dict(left_out), _incomparable(swept, metric))


def _usual_metric(finished: Sequence[Record]) -> str | None:
    """Return the metric that the runs optimize if it is one, else one of the validation that most of them have."""
    optimized = [record.nested_config.get("optimized_metric") for record in finished]
    if optimized and optimized[0] and all(each == optimized[0] for each in optimized):
        return optimized[0][0] if isinstance(optimized[0], list) else optimized[0]
    # also those that were no number in the end: a run that diverged does not change what the others are compared by
    names = (name for record in finished for name in record.result.get("metrics", {}))
    counts = Counter(name for name in names if name.startswith("val/") and name.count("/") == 1)
    preferred = sorted(counts, key=lambda name: (not name.endswith("_best"), name != "val/loss"))
    return max(preferred, key=counts.__getitem__, default=None)


def _incomparable(swept: Sequence[str], metric: str) -> list[str]:
    """Return the swept keys that decide what a metric measures: the data set, and for a loss the objective."""
    of_loss = [key for key in swept if key.startswith("objective.") and not is_within(key, NOT_IN_LOSS)]
    return [key for key in swept if key in DATA_SETS] + of_loss * ("loss" in metric)


def _swept(found: Sequence[Record]) -> list[str]:
    """Keys of the config that not all runs agree on, seeds left out."""
    configs = [essential_config(record) for record in found]
    keys = dict.fromkeys(key for config in configs for key in config)
    return [key for key in keys if key not in SEEDS and len({str(config.get(key)) for config in configs}) > 1]


def _apart(found: Sequence[Record], swept: Sequence[str]) -> list[str]:
    """Of keys that change together, as those of a choice do, the first."""
    first: dict[tuple[int, ...], str] = {}
    for key in swept:
        values = [str(record.config.get(key)) for record in found]
        first.setdefault(tuple(map(values.index, values)), key)
    return [*first.values()]


def _words(record: Record, swept: Sequence[str], common: set[str]) -> str:
    """The words that were typed for what is swept; its values, where it was not typed word for word."""
    typed = [word for word in record.overrides if not word.lstrip("+").startswith(NOT_SWEPT)]
    told = [word for word in typed if word not in common and any(_is_about(word, key) for key in swept)]
    return " ".join(told) or " ".join(f"{key}={record.config.get(key)}" for key in swept)


def _is_about(word: str, key: str) -> bool:
    name = key_of(word)
    return key == name or key.startswith(f"{name}.") or name == "experiment"


def _values(found: Sequence[Record], metric: str) -> dict[int, float]:
    return {int(record.config.get("seed", number)): record.metrics[metric] for number, record in enumerate(found)}


def _group(words: str, runs: list[Record], metric: str, swept: Sequence[str], first: dict[int, float] | None) -> Group:
    values = _values(runs, metric)
    settings = {key: runs[0].config.get(key) for key in swept}
    against = difference(values, first) if first is not None else None
    seconds = sum(record.seconds or 0.0 for record in runs)
    return Group(words, settings, values, seconds, runs, estimate([*values.values()]), against)


def _baseline(grouped: dict[str, list[Record]], asked: str | None) -> str:
    if asked is None:
        return next(iter(grouped))
    wanted = set(asked.split())
    fitting = [words for words in grouped if wanted <= set(words.split())]
    if len(fitting) != 1:
        what = "several groups have" if fitting else "no group has"
        raise UserError(f"baseline: {what} '{asked}'; there are: {'; '.join(grouped)}")
    return fitting[0]
