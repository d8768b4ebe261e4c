"""Differences between two runs that can explain different metrics."""

import hashlib
from typing import Any

from trainer.artifacts.change_detection import is_data_change
from trainer.artifacts.fingerprint import drop_ignored
from trainer.artifacts.run_record import PATH_KEYS, RunRecord
from trainer.core.mappings import diff_mappings, flatten

ValuePairs = dict[str, tuple[Any, Any]]


def diff_runs(first: RunRecord, second: RunRecord) -> dict[str, ValuePairs]:
    """Return the differences by category (`config`, `code`, `data`, `environment`, `hardware`) without equal ones."""
    diffs = {
        "config": diff_configs(first, second),
        "code": _diff_code(first, second) | _diff_resume_changes(first, second, "code"),
        "data": diff_mappings(_describe_data(first), _describe_data(second))
        | _diff_resume_changes(first, second, "data"),
        "environment": diff_mappings(_describe_environment(first), _describe_environment(second)),
        "hardware": diff_mappings(_describe_hardware(first), _describe_hardware(second)),
    }
    return {category: pairs for category, pairs in diffs.items() if pairs}


def diff_configs(first: RunRecord, second: RunRecord) -> ValuePairs:
    """Return the different config values that determine metrics, by dotted key."""
    return diff_mappings(flatten_relevant_config(first), flatten_relevant_config(second))


def flatten_relevant_config(record: RunRecord) -> dict[str, Any]:
    """Return the config values that determine metrics, by dotted key, with absolute paths of files."""
    return {
        key: _resolve_path(record, value)
        for key, value in flatten(drop_ignored(record.nested_config)).items()
        if key.rpartition(".")[2] not in PATH_KEYS
    }


def _resolve_path(record: RunRecord, value: Any) -> Any:
    """Return the absolute path if a value names an existing file, else the value."""
    if isinstance(value, str) and value:
        path = record.directory / value
        return str(path.resolve()) if path.exists() else value
    return value


def _diff_code(first: RunRecord, second: RunRecord) -> ValuePairs:
    """Return the different files that both runs have imported; versions and commits if no files are recorded."""
    if not (first.code and second.code):
        return diff_mappings(_describe_code(first), _describe_code(second))
    shared = sorted(first.code.keys() & second.code.keys())
    return diff_mappings({name: first.code[name] for name in shared}, {name: second.code[name] for name in shared})


def _diff_resume_changes(first: RunRecord, second: RunRecord, category: str) -> ValuePairs:
    """Return the changes that were accepted when the runs were resumed."""
    accepted = []
    for record in (first, second):
        changes = [change for change in record.accepted_changes if is_data_change(change) == (category == "data")]
        accepted.append(", ".join(changes) or "nothing")
    return {"changed at a resumption": (accepted[0], accepted[1])} if {*accepted} != {"nothing"} else {}


def _describe_code(record: RunRecord) -> dict[str, Any]:
    """Return the version, the commit of each checkout and a hash of the uncommitted changes."""
    checkouts = record.provenance.get("git") or []
    commits = {f"commit {number}": checkout.get("commit") for number, checkout in enumerate(checkouts)}
    diff = record.path / "code.diff"
    changed = hashlib.sha256(diff.read_bytes()).hexdigest()[:12] if diff.is_file() else None
    return {"trainer": record.provenance.get("trainer"), **commits, "uncommitted changes": changed}


def _describe_data(record: RunRecord) -> dict[str, Any]:
    values = {key: record.result.get(key) for key in ("data_sha256", "synthetic")}
    return {key: value for key, value in values.items() if value is not None}


def _describe_environment(record: RunRecord) -> dict[str, Any]:
    return {"python": record.provenance.get("python"), **record.provenance.get("packages", {})}


def _describe_hardware(record: RunRecord) -> dict[str, Any]:
    machine = record.provenance.get("machine", {})
    return {key: machine.get(key) for key in ("processor", "cores", "threads", "gpus", "cuda", "system")}
