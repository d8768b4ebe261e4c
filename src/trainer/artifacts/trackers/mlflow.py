"""Logger of MLflow."""

import os
import re
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pytorch_lightning.loggers import MLFlowLogger
from pytorch_lightning.utilities import rank_zero_only

from trainer.artifacts.trackers.base import Tracker, TrackerRun
from trainer.core.mappings import flatten

MAX_BATCH_METRICS = 1000  # limit of MLflow
MAX_HTTP_RETRIES = "3"  # 15 seconds, instead of several minutes
SQLITE_PREFIX = "sqlite:///"
_INVALID_KEY_CHARACTERS = re.compile(r"[^\w/. -]", re.ASCII)


class ResumableMLFlowLogger(Tracker, MLFlowLogger):
    """MLFlowLogger whose run is named after the run directory, tagged with its sweep and continued by `trainer resume`.

    Args:
        save_dir: Run directory.
        tracking_uri: Address of a server, or `sqlite:///FILE` for a local database.
        experiment_name: Experiment that contains the run.
        run_name: Name of the run. Defaults to the last parts of the run directory.
        tags: Tags of the run, in addition to `sweep`.
        artifact_location: Directory or address for images, tables and checkpoints, used if the experiment is new.
            Defaults to the directory `mlflow` next to a local database; a server has its own.
        log_model: Whether to upload checkpoints: at the end (true), or each one (all).
    """

    tracker = "mlflow"
    offline_hint = "to use a local database: logger.mlflow.tracking_uri=sqlite:///mlflow.db"

    def __init__(
        self,
        save_dir: str,
        *,
        tracking_uri: str,
        experiment_name: str = "trainer",
        run_name: str | None = None,
        tags: dict[str, Any] | None = None,
        artifact_location: str | None = None,
        log_model: bool | Literal["all"] = False,
    ) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", MAX_HTTP_RETRIES)
        self._run = run = TrackerRun(Path(save_dir), self.tracker)
        lock: AbstractContextManager[Any] = nullcontext()
        if tracking_uri.startswith(SQLITE_PREFIX):
            database = Path(tracking_uri.removeprefix(SQLITE_PREFIX))
            artifact_location = artifact_location or str(database.parent / "mlflow")
            database.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(f"{database}.lock")  # jobs in parallel must not create the tables at the same time
        with self.starting(), lock:
            super().__init__(
                experiment_name=experiment_name,
                run_name=run_name or run.name,
                tracking_uri=tracking_uri,
                tags=(tags or {}) | ({"sweep": run.group} if run.group else {}),
                artifact_location=artifact_location,
                log_model=log_model,
                run_id=run.id,
            )

    def start(self) -> str:
        """Start or continue the run; return its ID. Another job may create the experiment at the same time."""
        from mlflow.exceptions import MlflowException

        try:
            client = self.lightning.experiment
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            client = self.lightning.experiment
        if self._run.id:
            client.update_run(self.lightning.run_id, status="RUNNING")
        return str(self.lightning.run_id)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Log the parameters by dotted key; in a resumed run only new ones, as MLflow does not change values."""
        self._attempt(self._log_new_params, vars(params) if isinstance(params, Namespace) else params)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.log_rows([(step or 0, metrics)])

    @rank_zero_only
    def log_rows(self, rows: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Log the metrics of several steps with few transactions."""
        self._attempt(self._log_rows, rows)

    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        """Log PIL images."""
        for image in images:
            self._attempt(self.experiment.log_image, self.lightning.run_id, image, key=_clean_key(key), step=step)

    @rank_zero_only
    def log_table(self, key: str, columns: list[str], data: list[list[Any]], step: int | None = None) -> None:
        """Log the rows of a table as a JSON file, one for each step."""
        content = {column: [row[index] for row in data] for index, column in enumerate(columns)}
        file = f"{_clean_key(key)}/step_{step or 0:08}.json"
        self._attempt(self.experiment.log_table, self.lightning.run_id, content, file)

    def _log_new_params(self, params: dict[str, Any]) -> None:
        known = self.experiment.get_run(self.lightning.run_id).data.params
        new = {key: value for key, value in flatten(params).items() if key not in known}
        self.lightning.log_hyperparams(new)

    def _log_rows(self, rows: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(_clean_key(name), float(row[name]), now, step) for step, row in rows for name in row]
        for start in range(0, len(metrics), MAX_BATCH_METRICS):
            self.experiment.log_batch(self.lightning.run_id, metrics[start : start + MAX_BATCH_METRICS])


def _clean_key(key: str) -> str:
    return _INVALID_KEY_CHARACTERS.sub("_", key)
