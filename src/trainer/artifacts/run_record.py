"""Reader of run directories."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trainer.artifacts.metrics_file import INTEGER_COLUMNS, read_logged_rows
from trainer.artifacts.run_lock import is_locked
from trainer.artifacts.run_schema import check_config, check_provenance, check_result
from trainer.core.data_files import InvalidFileError, read_json, read_yaml
from trainer.core.errors import UserError
from trainer.core.mappings import flatten
from trainer.core.metric_name import MetricName

START_ONLY_PREFIXES = ("resume=", "accept_changes=")  # overrides that affect a start and not the run
JOB_KEYS = ("name", "num", "id", "override_dirname")  # of Hydra
PATH_KEYS = {"dir", "dirpath", "save_dir", "outputs"}  # keys with different paths in each run


@dataclass(frozen=True)
class RunRecord:
    """Files of a run, read on demand and validated. All run directories are read by this class.

    Args:
        path: Run directory.
    """

    path: Path

    @cached_property
    def problem(self) -> str:
        """Return why a file of the run is invalid, or "" if all are valid or missing."""
        return next(filter(None, (problem for _, problem in (self._result, self._provenance, self._config))), "")

    @property
    def result(self) -> dict[str, Any]:
        """Return `result.json`; empty if the run is running or was killed, or if the file is invalid."""
        return self._result[0]

    @property
    def provenance(self) -> dict[str, Any]:
        """Return `provenance.json`; empty if it is missing or invalid."""
        return self._provenance[0]

    @property
    def nested_config(self) -> dict[str, Any]:
        """Return `config.yaml`; empty if it is missing or invalid."""
        return self._config[0]

    @cached_property
    def _result(self) -> tuple[dict[str, Any], str]:
        return _read(self.path / "result.json", check_result)

    @cached_property
    def _provenance(self) -> tuple[dict[str, Any], str]:
        return _read(self.path / "provenance.json", check_provenance)

    @cached_property
    def _config(self) -> tuple[dict[str, Any], str]:
        return _read(self.path / "config.yaml", check_config)

    @cached_property
    def config(self) -> dict[str, Any]:
        """Return the resolved config by dotted key."""
        return flatten(self.nested_config)

    @property
    def choices(self) -> dict[str, Any]:
        """Return the option of each config group; empty if Hydra has written no record, or an invalid one."""
        return get_mapping(get_mapping(self._hydra, "runtime"), "choices")

    @property
    def job(self) -> dict[str, Any]:
        """Return the name and the number of the job that Hydra has recorded; empty without a valid record."""
        job = get_mapping(self._hydra, "job")
        return {key: job[key] for key in JOB_KEYS if isinstance(job.get(key), str | int) and "${" not in str(job[key])}

    @cached_property
    def _hydra(self) -> dict[str, Any]:
        return get_mapping(read_mapping(self.path / ".hydra/hydra.yaml"), "hydra")

    @property
    def state(self) -> str:
        """Return one of `STATES`; or else `running` or `killed`, or `unreadable: ...` if a file is invalid."""
        if self.problem:
            return f"unreadable: {self.problem}"
        return str(self.result.get("state") or ("running" if is_locked(self.path) else "killed"))

    @property
    def metrics(self) -> dict[str, float]:
        """Return the last value of each metric, and `..._best`; values that were not finite are omitted."""
        return {name: value for name, value in self.result.get("metrics", {}).items() if value is not None}

    @property
    def directory(self) -> Path:
        """Return the working directory of the first start; the current one if it is not recorded."""
        return Path(self.provenance.get("directory", "."))

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
    def members(self) -> list[str]:
        """Return the directories of the runs that an ensemble combines; empty for a run that was trained."""
        return [str(path) for path in self.provenance.get("members", [])]

    @property
    def seconds(self) -> float | None:
        """Return the duration of the run."""
        return self.result.get("seconds")

    def read_metric_series(self) -> dict[str, list[tuple[int, float]]]:
        """Return (step, value) of every logged value by metric; empty if `metrics.csv` is missing.

        Raises:
            UserError: The file is invalid, except for a last line that is not complete.
        """
        series: dict[str, list[tuple[int, float]]] = {}
        for row in read_logged_rows(self.path / "metrics.csv"):
            for name, value in row.items():
                if name not in INTEGER_COLUMNS:
                    series.setdefault(name, []).append((int(row["step"]), value))
        return series

    def read_history(self) -> list[dict[str, float]]:
        """Return the last value of each metric of training and validation in each epoch, and the `epoch` from 1.

        Raises:
            UserError: `metrics.csv` is invalid, except for a last line that is not complete.
        """
        epochs: dict[int, dict[str, float]] = {}
        for row in read_logged_rows(self.path / "metrics.csv"):
            names = [name for name in row if name not in INTEGER_COLUMNS and MetricName.parse(name).stage != "test"]
            if names:
                epoch = int(row.get("epoch", 0)) + 1
                epochs.setdefault(epoch, {"epoch": epoch}).update((name, row[name]) for name in names)
        return [epochs[epoch] for epoch in sorted(epochs)]


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
    if record.problem:
        raise UserError(f"'{path}' is unreadable: {record.problem}")
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
    """Return when the metrics of each stage were measured, e.g. `"train: last logged; test: best checkpoint"`.

    Args:
        metrics: Metrics of a run by name.
        checkpoint: Tested checkpoint; None if no checkpoint was saved.
    """
    has_best = any(name.endswith("_best") for name in metrics)
    tested = "last weights" if checkpoint is None else "best checkpoint" if has_best else Path(checkpoint).name
    times = {"train": "last logged", "val": "last epoch", "test": tested}
    stages = {MetricName.parse(name).stage for name in metrics}
    return "; ".join(f"{stage}: {time}" for stage, time in times.items() if stage in stages)


def get_mapping(node: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the mapping that another one contains; empty if the key is missing or has another type."""
    child = node.get(key)
    return child if isinstance(child, dict) else {}


def read_mapping(file: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; empty if the file is missing or invalid."""
    try:
        values = read_yaml(file)
    except (FileNotFoundError, InvalidFileError):
        return {}
    return values if isinstance(values, dict) else {}


def _sort_key(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (0, name)


def _read(file: Path, check: Callable[[Any], str]) -> tuple[dict[str, Any], str]:
    """Return the content of a file and its problem: ({}, "") if it is missing, ({}, reason) if it is invalid."""
    try:
        content = read_yaml(file) if file.suffix == ".yaml" else read_json(file)
    except FileNotFoundError:
        return {}, ""
    except InvalidFileError as error:
        return {}, str(error)
    problem = check(content)
    return ({}, f"{file.name}: {problem}") if problem else (content, "")
