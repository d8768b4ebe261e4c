"""Reader of run directories."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from trainer.artifacts.run_lock import run_state
from trainer.core.errors import UserError
from trainer.core.mappings import flatten

START_ONLY_PREFIXES = ("resume=", "accept_changes=")  # overrides that affect a start and not the run
PATH_KEYS = {"dir", "dirpath", "save_dir", "outputs"}  # keys with different paths in each run


@dataclass(frozen=True)
class RunRecord:
    """Files of a run, read on demand.

    Args:
        path: Run directory.
    """

    path: Path

    @cached_property
    def result(self) -> dict[str, Any]:
        """Return `result.json`; empty if the run is running or was killed."""
        return _read_json(self.path / "result.json")

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Return `provenance.json`; empty if it is missing."""
        return _read_json(self.path / "provenance.json")

    @cached_property
    def config(self) -> dict[str, Any]:
        """Return the resolved config by dotted key."""
        return flatten(self.nested_config)

    @cached_property
    def nested_config(self) -> dict[str, Any]:
        """Return `config.yaml`; empty if it is missing."""
        return read_yaml(self.path / "config.yaml")

    @cached_property
    def choices(self) -> dict[str, Any]:
        """Return the option of each config group; empty if Hydra has written no record."""
        runtime = read_yaml(self.path / ".hydra/hydra.yaml").get("hydra", {}).get("runtime", {})
        return dict(runtime.get("choices", {}))

    @property
    def state(self) -> str:
        """Return `finished`, `failed`, `pruned` or `interrupted`; without a result `running` or `killed`."""
        return str(self.result.get("state") or run_state(self.path))

    @property
    def metrics(self) -> dict[str, float]:
        """Return the last value of each metric, and `..._best`; values that were not finite are omitted."""
        return {name: value for name, value in self.result.get("metrics", {}).items() if value is not None}

    @property
    def starts(self) -> list[dict[str, Any]]:
        """Return the entries of `provenance.json`: the first start, then each resumed one."""
        return [self.provenance, *self.provenance.get("resumed", [])]

    @property
    def overrides(self) -> list[str]:
        """Return the overrides of the last start; in a sweep those of this job."""
        overrides = [str(override) for override in self.starts[-1].get("overrides", [])]
        return [override for override in overrides if not override.startswith(START_ONLY_PREFIXES)]

    @property
    def code(self) -> dict[str, str]:
        """Return the file hashes of the last code version by name; empty if none are recorded."""
        version = self.starts[-1].get("code_version", 1)
        codes = [start.get("code", {}) for start in self.starts if start.get("code_version", 1) == version]
        return {name: digest for code in codes for name, digest in code.items()}

    @property
    def code_start(self) -> dict[str, Any]:
        """Return the first start with the last code version."""
        version = self.starts[-1].get("code_version", 1)
        return next(start for start in self.starts if start.get("code_version", 1) == version)

    @property
    def accepted_changes(self) -> list[str]:
        """Return the changes of code and data that were accepted when the run was resumed."""
        return list(dict.fromkeys(change for start in self.starts for change in start.get("accepted_changes", [])))

    @property
    def seconds(self) -> float | None:
        """Return the duration of the run."""
        return self.result.get("seconds")

    def read_metric_series(self) -> dict[str, list[tuple[int, float]]]:
        """Return (step, value) of every logged value by metric; empty if `metrics.csv` is missing."""
        series: dict[str, list[tuple[int, float]]] = {}
        try:
            with (self.path / "metrics.csv").open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    for name, value in row.items():
                        if value and name not in ("step", "epoch"):
                            series.setdefault(name, []).append((int(row["step"]), float(value)))
        except (OSError, ValueError, KeyError):
            return {}
        return series


def locate_code_files(run: Path, start: Mapping[str, Any]) -> tuple[Path, Path]:
    """Return the diff file of a start and the directory with its copies of files outside git.

    Args:
        run: Run directory.
        start: Item of `RunRecord.starts`.
    """
    version = start.get("code_version", 1)
    name = "code" if version == 1 else f"code-{version}"
    return run / f"{name}.diff", run / name


def read_run(path: str) -> RunRecord:
    """Return the record of a run directory.

    Raises:
        UserError: The path is not a run directory.
    """
    record = RunRecord(Path(path))
    if not record.config:
        runs = [str(run.path) for run in find_runs(record.path)][:3] if record.path.is_dir() else []
        hint = f"; runs in it: {', '.join(runs)}" if runs else ""
        raise UserError(f"'{path}' is not a run directory: it has no config.yaml{hint}")
    return record


def find_runs(directory: Path) -> Iterator[RunRecord]:
    """Yield all runs below a directory from the oldest to the newest, jobs of sweeps included, hidden ones excluded."""
    files = (
        file for file in directory.rglob("provenance.json") if "/." not in f"/{file.relative_to(directory).as_posix()}"
    )
    runs = (file.parent for file in files if (file.parent / "config.yaml").is_file())
    yield from (RunRecord(run) for run in sorted(runs, key=lambda run: (run.parent, _sort_key(run.name))))


def format_measurement_times(metrics: Mapping[str, Any], checkpoint: str | None) -> str:
    """Return when the metrics of each stage were measured, e.g. `"train: last step; test: best checkpoint"`.

    Args:
        metrics: Metrics of a run by name.
        checkpoint: Tested checkpoint; None if no checkpoint was saved.
    """
    has_best = any(name.endswith("_best") for name in metrics)
    tested = "last weights" if checkpoint is None else "best checkpoint" if has_best else Path(checkpoint).name
    times = {"train": "last step", "val": "last epoch", "test": tested}
    stages = {name.partition("/")[0] for name in metrics}
    return "; ".join(f"{stage}: {time}" for stage, time in times.items() if stage in stages)


def read_yaml(file: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; empty if the file is missing or invalid."""
    try:
        values = yaml.load(file.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError):
        return {}
    return values if isinstance(values, dict) else {}


def _sort_key(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (0, name)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
