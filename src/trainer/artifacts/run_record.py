"""Record: what a run directory tells of its run, read again; and all the runs below a folder."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from trainer.artifacts.run_lock import state_of
from trainer.core.errors import UserError

OF_A_START = ("resume=", "accept_changes=")  # words that say how a run is started, and not what it is
PATH_KEYS = {"dir", "dirpath", "save_dir", "outputs"}  # where things lie; no two runs have the same


@dataclass(frozen=True)
class Record:
    """A run, over or under way.

    Args:
        path: Its directory.
    """

    path: Path

    @cached_property
    def result(self) -> dict[str, Any]:
        """`result.json`; empty while the run is under way, and for ever if it was killed."""
        return _json(self.path / "result.json")

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """`provenance.json`: command, code, packages, machine; empty where it is missing."""
        return _json(self.path / "provenance.json")

    @cached_property
    def config(self) -> dict[str, Any]:
        """Every value of the config by its dotted key, references filled in."""
        return flat(self.nested_config)

    @cached_property
    def nested_config(self) -> dict[str, Any]:
        """The config as it stands in `config.yaml`."""
        return _yaml(self.path / "config.yaml")

    @cached_property
    def choices(self) -> dict[str, Any]:
        """The choice of each config group; empty if Hydra has left no record."""
        runtime = _yaml(self.path / ".hydra/hydra.yaml").get("hydra", {}).get("runtime", {})
        return dict(runtime.get("choices", {}))

    @property
    def state(self) -> str:
        """`finished`, `failed`, `pruned` or `interrupted`; without a result `running` or `killed`."""
        return str(self.result.get("state") or state_of(self.path))

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each metric, and `..._best`; those that were no number are left out."""
        return {name: value for name, value in self.result.get("metrics", {}).items() if value is not None}

    @property
    def starts(self) -> list[dict[str, Any]]:
        """What `provenance.json` says of each start of the run: the first one, then each resumption."""
        return [self.provenance, *self.provenance.get("resumed", [])]

    @property
    def overrides(self) -> list[str]:
        """The words of the command line, those of this job alone in a sweep; after a resumption those that hold now."""
        words = [str(word) for word in self.starts[-1].get("overrides", [])]
        return [word for word in words if not word.startswith(OF_A_START)]

    @property
    def code(self) -> dict[str, str]:
        """The hashes of the files of the run's last version of code, by their names; empty if none are recorded."""
        version = self.starts[-1].get("code_version", 1)
        found = [start.get("code", {}) for start in self.starts if start.get("code_version", 1) == version]
        return {name: digest for code in found for name, digest in code.items()}

    @property
    def code_start(self) -> dict[str, Any]:
        """The first start with the code that the last one has."""
        version = self.starts[-1].get("code_version", 1)
        return next(start for start in self.starts if start.get("code_version", 1) == version)

    @property
    def accepted_changes(self) -> list[str]:
        """The changes of code and data with which the run was resumed all the same."""
        return list(dict.fromkeys(change for start in self.starts for change in start.get("accepted_changes", [])))

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return self.result.get("seconds")

    def series(self) -> dict[str, list[tuple[int, float]]]:
        """(step, value) of every logged number, by name; empty where no `metrics.csv` was kept."""
        found: dict[str, list[tuple[int, float]]] = {}
        try:
            with (self.path / "metrics.csv").open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    for name, value in row.items():
                        if value and name not in ("step", "epoch"):
                            found.setdefault(name, []).append((int(row["step"]), float(value)))
        except (OSError, ValueError, KeyError):
            return {}
        return found


def code_files(run: Path, start: Mapping[str, Any]) -> tuple[Path, Path]:
    """Return the file and the folder for the code of a start: the changes since the commit, and copies of other files.

    Args:
        run: The run directory.
        start: One of `Record.starts`.
    """
    version = start.get("code_version", 1)
    name = "code" if version == 1 else f"code-{version}"
    return run / f"{name}.diff", run / name


def record_of(path: str) -> Record:
    """The record of a run directory.

    Raises:
        UserError: It is none.
    """
    record = Record(Path(path))
    if not record.config:
        there = [str(each.path) for each in records(record.path)][:3] if record.path.is_dir() else []
        offer = f"; in it there are runs: {', '.join(there)}" if there else ""
        raise UserError(f"'{path}' is no run directory: it has no config.yaml{offer}")
    return record


def records(folder: Path) -> Iterator[Record]:
    """Return all runs below a directory, the oldest first; jobs of sweeps are runs, and hidden copies are none."""
    files = (file for file in folder.rglob("provenance.json") if "/." not in f"/{file.relative_to(folder).as_posix()}")
    found = (file.parent for file in files if (file.parent / "config.yaml").is_file())
    yield from (Record(path) for path in sorted(found, key=lambda path: (path.parent, _number(path.name))))


def flat(values: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    """Nested values by dotted key; lists and empty mappings are values."""
    made: dict[str, Any] = {}
    for name, value in values.items():
        inner = f"{key}.{name}".strip(".")
        made |= flat(value, inner) if isinstance(value, dict) and value else {inner: value}
    return made


def differences(first: Mapping[str, Any], second: Mapping[str, Any], absent: Any = "-") -> dict[str, tuple[Any, Any]]:
    """The keys that two mappings do not agree on, with both values; a NaN agrees with another."""
    keys = [*first, *(key for key in second if key not in first)]
    pairs = {key: (first.get(key, absent), second.get(key, absent)) for key in keys}
    return {key: (a, b) for key, (a, b) in pairs.items() if a != b and not (a != a and b != b)}


def moments(metrics: Mapping[str, Any], checkpoint: str | None) -> str:
    """Return when the metrics of each stage were measured, e.g. `"train: last step; test: best checkpoint"`.

    Args:
        metrics: Of a run, by name.
        checkpoint: That was tested; None if no checkpoint was kept.
    """
    chosen = any(name.endswith("_best") for name in metrics)
    tested = "last weights" if checkpoint is None else "best checkpoint" if chosen else Path(checkpoint).name
    when = {"train": "last step", "val": "last epoch", "test": tested}
    stages = {name.partition("/")[0] for name in metrics}
    return "; ".join(f"{stage}: {moment}" for stage, moment in when.items() if stage in stages)


def _number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (0, name)


def _yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.load(file.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError):
        return {}
    return values if isinstance(values, dict) else {}


def _json(file: Path) -> dict[str, Any]:
    try:
        held = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}
