"""Causes: in what the conditions of two runs differ, sorted by what could be to blame for different numbers."""

import hashlib
from pathlib import Path
from typing import Any

from trainer.artifacts.change_detection import is_of_data
from trainer.artifacts.fingerprint import essence
from trainer.artifacts.run_record import PATH_KEYS, Record, differences, flat

Pairs = dict[str, tuple[Any, Any]]


def causes(first: Record, second: Record) -> dict[str, Pairs]:
    """What differs, under `config`, `code`, `data`, `environment` and `hardware`; what agrees is left out."""
    found = {
        "config": config_differences(first, second),
        "code": _code_differences(first, second) | _changes_at_resumption(first, second, "code"),
        "data": differences(_data(first), _data(second)) | _changes_at_resumption(first, second, "data"),
        "environment": differences(_environment(first), _environment(second)),
        "hardware": differences(_hardware(first), _hardware(second)),
    }
    return {kind: pairs for kind, pairs in found.items() if pairs}


def config_differences(first: Record, second: Record) -> Pairs:
    """The values that decide numbers and differ, by dotted key."""
    return differences(essential_config(first), essential_config(second))


def essential_config(record: Record) -> dict[str, Any]:
    """The values of a config that decide numbers, by dotted key; paths of files are whole."""
    return {
        key: _whole(record, value)
        for key, value in flat(essence(record.nested_config)).items()
        if key.rpartition(".")[2] not in PATH_KEYS
    }


def _whole(record: Record, value: Any) -> Any:
    """A value; where it names a file that is there, its whole path, so that it is the same from every directory."""
    if isinstance(value, str) and value:
        path = Path(record.provenance.get("directory", "."), value)
        return str(path.resolve()) if path.exists() else value
    return value


def _code_differences(first: Record, second: Record) -> Pairs:
    """The files that both have imported and that differ; without a record of these, versions and commits."""
    if not (first.code and second.code):
        return differences(_code(first), _code(second))
    shared = first.code.keys() & second.code.keys()
    codes = ({name: record.code[name] for name in sorted(shared)} for record in (first, second))
    return differences(*codes)


def _changes_at_resumption(first: Record, second: Record, kind: str) -> Pairs:
    """What changed while a run was stopped: its numbers come from more than one version."""
    told = []
    for record in (first, second):
        changes = [change for change in record.accepted_changes if is_of_data(change) == (kind == "data")]
        told.append(", ".join(changes) or "nothing")
    return {"changed at a resumption": (told[0], told[1])} if {*told} != {"nothing"} else {}


def _code(record: Record) -> dict[str, Any]:
    """Version, and the commit of each checkout with a hash of what was not committed."""
    checkouts = record.provenance.get("git") or []
    commits = {f"commit {number}": each.get("commit") for number, each in enumerate(checkouts)}
    diff = record.path / "code.diff"
    changed = hashlib.sha256(diff.read_bytes()).hexdigest()[:12] if diff.is_file() else None
    return {"trainer": record.provenance.get("trainer"), **commits, "uncommitted changes": changed}


def _data(record: Record) -> dict[str, Any]:
    known = {key: record.result.get(key) for key in ("data_sha256", "synthetic")}
    return {key: value for key, value in known.items() if value is not None}


def _environment(record: Record) -> dict[str, Any]:
    return {"python": record.provenance.get("python"), **record.provenance.get("packages", {})}


def _hardware(record: Record) -> dict[str, Any]:
    machine = record.provenance.get("machine", {})
    return {key: machine.get(key) for key in ("processor", "cores", "threads", "gpus", "cuda", "system")}
