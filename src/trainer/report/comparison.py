"""Report: the runs of a sweep grouped by config, seeds put together, and compared with a baseline."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainer.artifacts.fingerprint import is_within
from trainer.artifacts.ledger_file import optimized_metrics
from trainer.artifacts.run_record import Record, records
from trainer.core.errors import UserError, did_you_mean
from trainer.core.metric_direction import UNKNOWN, Direction, base_name, direction_of, several
from trainer.report.code_versions import code_versions, mixed
from trainer.report.grouping import Group, apart, configs_of, group_of, grouped, swept_in
from trainer.report.statistics import corrected, difference, importances

DATA_SETS = ("data._target_", "data.path")
NOT_IN_LOSS = ("objective.metrics", "objective.penalty")  # of the validation


@dataclass(frozen=True)
class Report:
    """What a sweep has shown.

    Args:
        metric: Which number was looked at.
        higher: Whether more of it is better; None if that is unknown, and then no group is the best.
        groups: The best first; in the order in which they were run if none is the best.
        baseline: Which one the others are compared with.
        importances: Share of the variance that each swept parameter explains by itself.
        left_out: Runs without that number, by their state.
        not_compared: Further optimized metrics.
        incomparable: Swept keys that change what the metric measures.
        mixed: Lines about runs that do not have the same code or data.
    """

    metric: str
    higher: bool | None
    groups: list[Group]
    baseline: str
    importances: dict[str, float]
    left_out: dict[str, int]
    not_compared: tuple[str, ...] = ()
    incomparable: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()

    @property
    def best(self) -> Group | None:
        """The best group; None if it is unknown which values are good."""
        return None if self.higher is None else self.groups[0]

    @property
    def best_run(self) -> Record:
        """The run with the best value in the best group; of the first group if none is the best."""
        chosen = max if self.higher else min
        return chosen(self.groups[0].runs, key=lambda run: run.metrics[self.metric])

    @property
    def notes(self) -> list[str]:
        """What a reader must know of the groups, a line each."""
        found = [f"left out: {count} {state} run(s) without {self.metric}" for state, count in self.left_out.items()]
        if self.higher is None:
            offer = "to name the best config: direction=min or direction=max"
            found.append(f"no config is called the best: {UNKNOWN.format(self.metric)}; {offer}")
        if self.incomparable:
            keys = ", ".join(self.incomparable)
            found.append(f"not comparable by {self.metric}: the configs differ in {keys}")
        if self.not_compared:
            found.append(f"compared by {self.metric} alone, not by {', '.join(self.not_compared)}")
        return found

    @property
    def tests(self) -> list[str]:
        """How the verdicts were reached, in a line; none if nothing was tested."""
        count = sum(group.against is not None and group.against.pairs > 1 for group in self.groups)
        corrected_for = f", corrected for {count} comparisons (Holm-Bonferroni)" * (count > 1)
        return [f"verdicts: Student's t test of the pairs at 5 %{corrected_for}"] if count else []


def report_of(
    folder: Path, metric: str | None = None, baseline: str | None = None, direction: str | None = None
) -> Report:
    """Group and compare all runs below a folder.

    Args:
        folder: Of a sweep, or of several.
        metric: By its name; None takes the sweep's `optimized_metric`, or the best of what checkpoints were chosen by.
        baseline: Words of one group, e.g. `"optimizer.lr=0.1"`; None takes the first that was run.
        direction: `"min"` or `"max"`; None for what the sweep, or else the metric, says.

    Raises:
        UserError: There is nothing to report, or no such metric, group or direction.
    """
    if direction not in (None, "min", "max"):
        raise UserError(f"direction: '{direction}' is not a direction; expected min or max")
    found = [*records(folder)] if folder.is_dir() else []
    if not found:
        raise UserError(f"no runs below '{folder}'")
    finished = [record for record in found if record.state == "finished"]
    optimized = _optimized(finished)
    metric = metric or _usual_metric(optimized, finished)
    known = sorted({name for record in finished for name in record.metrics})
    if metric is None:
        raise UserError(f"metric: no run has a metric of the validation; choose one of {', '.join(known) or 'none'}")
    if metric not in known:
        raise UserError(f"metric: no finished run has '{metric}'{did_you_mean(str(metric), known)}")
    with_value = [record for record in finished if metric in record.metrics]
    configs = configs_of(with_value)
    swept = swept_in(configs)
    runs_of = grouped(with_value, configs, swept)
    compared = _baseline(runs_of, baseline)
    numbers = code_versions(with_value)
    versions = {record.path: number for record, number in zip(with_value, numbers, strict=True) if max(numbers) > 1}
    made = [group_of(words, runs, metric, swept, versions) for words, runs in runs_of.items()]
    groups = _compared(made, compared)
    higher = {"max": True, "min": False, None: None}[direction or _direction(metric, optimized, with_value)]
    if higher is not None:
        groups.sort(key=lambda group: group.estimate.mean, reverse=higher)
    settings = [{key: config.get(key) for key in apart(configs, swept)} for config in configs]
    shares = importances(settings, [record.metrics[metric] for record in with_value]) if swept else {}
    shares = {key.removesuffix("._target_"): share for key, share in shares.items()}
    states = [record.state for record in found if record not in with_value]
    left_out = {state: states.count(state) for state in dict.fromkeys(states)}
    others = tuple(name for name in optimized if name != metric) if metric in optimized else ()
    unlike = _incomparable(swept, metric)
    return Report(metric, higher, groups, compared, shares, left_out, others, unlike, (*mixed(with_value),))


def _optimized(found: Sequence[Record]) -> dict[str, Direction | None]:
    """Return the optimized metrics of sweeps, as their ledgers state them, and of single runs; each with its direction.

    The direction is None if nothing states it, or if sweeps contradict one another.
    """
    sweeps = dict.fromkeys(record.path.parent for record in found)
    stated = {sweep: optimized_metrics(sweep) for sweep in sweeps}
    merged: dict[str, Direction | None] = {}
    for record in found:
        own = stated.get(record.path.parent) or _of_run(record)
        for metric, direction in own.items():
            merged[metric] = direction if merged.get(metric, direction) == direction else None
    return merged


def _usual_metric(optimized: Mapping[str, Direction | None], finished: Sequence[Record]) -> str | None:
    """Return the optimized metric if it is one for all runs, else one of the validation that most of them have."""
    # also those that were no number in the end: a run that diverged does not change what the others are compared by
    counts = Counter(name for record in finished for name in record.result.get("metrics", {}))
    first = next(iter(optimized), None)
    if first is not None and (len(optimized) == 1 or counts[first] == len(finished)):
        return first
    of_validation = [name for name in counts if name.startswith("val/") and name.count("/") == 1]
    preferred = sorted(of_validation, key=lambda name: (not name.endswith("_best"), name != "val/loss"))
    return max(preferred, key=counts.__getitem__, default=None)


def _incomparable(swept: Sequence[str], metric: str) -> tuple[str, ...]:
    """Return the swept keys that decide what a metric measures: the data set, and for a loss the objective."""
    of_loss = [key for key in swept if key.startswith("objective.") and not is_within(key, NOT_IN_LOSS)]
    return (*(key for key in swept if key in DATA_SETS), *(of_loss if "loss" in metric else []))


def _of_run(record: Record) -> dict[str, Any]:
    metrics = several(record.nested_config.get("optimized_metric"))
    directions = several((record.nested_config.get("sweep") or {}).get("direction"))
    return dict(zip(metrics, directions if len(directions) == len(metrics) else [None] * len(metrics), strict=True))


def _direction(metric: str, optimized: Mapping[str, Direction | None], found: Sequence[Record]) -> Direction | None:
    """Return the direction of a metric: as its sweep states it, as its name does, or as its checkpoints were chosen."""
    base = base_name(metric)
    of_sweep = [optimized.get(metric), *(stated for name, stated in optimized.items() if base_name(name) == base)]
    stated = next((each for each in of_sweep if each), None) or direction_of(metric)
    if stated:
        return stated
    kept = [(record.nested_config.get("callbacks") or {}).get("checkpoint") or {} for record in found]
    modes = {each.get("mode") for each in kept if base_name(str(each.get("monitor"))) == base}
    return "min" if modes == {"min"} else "max" if modes == {"max"} else None


def _compared(groups: list[Group], baseline: str) -> list[Group]:
    """Compare each group with the baseline; the verdicts hold for all comparisons together."""
    first = next(group.values for group in groups if group.words == baseline)
    others = [group for group in groups if group.words != baseline]
    against = corrected([difference(group.values, first) for group in others])
    made = {group.words: replace(group, against=one) for group, one in zip(others, against, strict=True)}
    return [made.get(group.words, group) for group in groups]


def _baseline(grouped: dict[str, list[Record]], asked: str | None) -> str:
    if asked is None or asked in grouped:
        return next(iter(grouped)) if asked is None else asked
    wanted = set(asked.split())
    fitting = [words for words in grouped if wanted <= set(words.split())]
    if len(fitting) != 1:
        what = "several groups have" if fitting else "no group has"
        raise UserError(f"baseline: {what} '{asked}'; there are: {'; '.join(grouped)}")
    return fitting[0]
