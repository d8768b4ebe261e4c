"""Detection of different code or data versions among the runs of a report."""

from collections.abc import Iterable, Iterator, Sequence

from trainer.artifacts.run_diff import flatten_relevant_config
from trainer.artifacts.run_record import RunRecord
from trainer.core.mappings import group_pairs

MAX_RUN_NAMES = 6  # per line
DATA_SEED_KEY = "data.seed"


def assign_code_versions(runs: Sequence[RunRecord]) -> list[int]:
    """Return the number of the code version of each run, from 1 in the order of the runs.

    Runs have the same version if all files that both have imported are equal.
    """
    versions: list[dict[str, str]] = []
    numbers = []
    for run in runs:
        matches = (index for index, code in enumerate(versions) if not _find_changed_files(code, run.code))
        index = next(matches, len(versions))
        if index == len(versions):
            versions.append({})
        versions[index] |= run.code
        numbers.append(index + 1)
    return numbers


def describe_version_conflicts(runs: Sequence[RunRecord]) -> Iterator[str]:
    """Yield a line for each difference in code or data between the runs of a report."""
    by_version = group_pairs(zip(assign_code_versions(runs), runs, strict=True))
    if len(by_version) > 1:
        codes = [{name: digest for run in group for name, digest in run.code.items()} for group in by_version.values()]
        files = dict.fromkeys(name for code in codes[1:] for name in _find_changed_files(codes[0], code))
        versions = "; ".join(f"code {number} in {_format_run_names(group)}" for number, group in by_version.items())
        yield f"not the same code ({_join_truncated([*files])}): {versions}"
    for group in _group_by_data_settings(runs):
        by_checksum = group_pairs((run.result["data_sha256"], run) for run in group)
        by_seed = group_pairs((str(run.config.get(DATA_SEED_KEY)), run.result["data_sha256"]) for run in group)
        is_mixed = any(len({*checksums}) > 1 for checksums in by_seed.values())
        if is_mixed or 1 < len(by_checksum) < len(by_seed):  # different data for each seed are no conflict
            yield f"not the same data: {' | '.join(map(_format_run_names, by_checksum.values()))}"
    if changed := [run for run in runs if run.accepted_changes]:
        yield f"resumed with other code or data than before: {_format_run_names(changed)}"


def _find_changed_files(code: dict[str, str], other: dict[str, str]) -> list[str]:
    return [name for name in code if other.get(name, code[name]) != code[name]]


def _group_by_data_settings(runs: Sequence[RunRecord]) -> Iterable[list[RunRecord]]:
    """Group runs with a data checksum by all data settings except the seed."""

    def settings(run: RunRecord) -> str:
        config = flatten_relevant_config(run).items()
        return str({key: value for key, value in config if key.startswith("data.") and key != DATA_SEED_KEY})

    return group_pairs((settings(run), run) for run in runs if run.result.get("data_sha256")).values()


def _format_run_names(runs: Sequence[RunRecord]) -> str:
    return _join_truncated([run.path.name for run in runs])


def _join_truncated(names: Sequence[str]) -> str:
    remainder = f" and {len(names) - MAX_RUN_NAMES} more" if len(names) > MAX_RUN_NAMES else ""
    return ", ".join(names[:MAX_RUN_NAMES]) + remainder
