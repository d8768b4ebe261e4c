"""Versions of code and data among the runs of a report: numbers of several versions do not compare settings alone."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from trainer.artifacts.run_diff import essential_config
from trainer.artifacts.run_record import Record

MAX_NAMES = 6  # of runs in a line
SEED = "data.seed"
Key = TypeVar("Key")
Value = TypeVar("Value")


def code_versions(runs: Sequence[Record]) -> list[int]:
    """Return the number of the code version of each run, from 1 in the order of the runs.

    Runs have the same version if no file that both have imported differs.
    """
    versions: list[dict[str, str]] = []
    numbers = []
    for run in runs:
        fitting = (place for place, known in enumerate(versions) if not _differing(known, run.code))
        place = next(fitting, len(versions))
        if place == len(versions):
            versions.append({})
        versions[place] |= run.code
        numbers.append(place + 1)
    return numbers


def mixed(runs: Sequence[Record]) -> Iterator[str]:
    """Yield a line for each way in which runs do not have the same code or data.

    Args:
        runs: Of one report.
    """
    numbers = code_versions(runs)
    by_version = _grouped(zip(numbers, runs, strict=True))
    if len(by_version) > 1:
        codes = [{name: digest for run in group for name, digest in run.code.items()} for group in by_version.values()]
        files = dict.fromkeys(name for code in codes[1:] for name in _differing(codes[0], code))
        told = "; ".join(f"code {number} in {_names(group)}" for number, group in by_version.items())
        yield f"not the same code ({_shortened([*files])}): {told}"
    for group in _of_same_data(runs):
        by_sum = _grouped((run.result["data_sha256"], run) for run in group)
        by_seed = _grouped((run.config.get(SEED), run.result["data_sha256"]) for run in group)
        is_mixed = any(len({*sums}) > 1 for sums in by_seed.values())
        if is_mixed or 1 < len(by_sum) < len(by_seed):  # else each seed has data of its own
            yield f"not the same data: {' | '.join(map(_names, by_sum.values()))}"
    if changed := [run for run in runs if run.accepted_changes]:
        yield f"resumed with other code or data than before: {_names(changed)}"


def _differing(code: dict[str, str], other: dict[str, str]) -> list[str]:
    return [name for name in code if other.get(name, code[name]) != code[name]]


def _of_same_data(runs: Sequence[Record]) -> Iterable[list[Record]]:
    """Runs with the same settings of the data but for the seed."""
    settings = (
        {key: value for key, value in essential_config(run).items() if key.startswith("data.") and key != SEED}
        for run in runs
    )
    pairs = ((str(each), run) for each, run in zip(settings, runs, strict=True) if run.result.get("data_sha256"))
    return _grouped(pairs).values()


def _grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    groups: dict[Key, list[Value]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def _names(runs: Sequence[Record]) -> str:
    return _shortened([run.path.name for run in runs])


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more
