"""Base class of the loggers of experiment trackers: names, resumed runs, failures of a server."""

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import Logger

from trainer.core.atomic_write import atomic_write_text
from trainer.core.errors import UserError, first_line

RUN_IDS_FILENAME = "trackers.json"

log = logging.getLogger(__name__)


class TrackerRun:
    """Name, group and stored ID of the run of an experiment tracker.

    Args:
        directory: Run directory.
        tracker: Name of the tracker, the key of the ID in `trackers.json`.
    """

    def __init__(self, directory: Path, tracker: str) -> None:
        self.file = directory / RUN_IDS_FILENAME
        self.tracker = tracker
        parts = directory.absolute().parts
        is_job = (directory.parent / "multirun.yaml").is_file()
        self.name = "/".join(parts[-3:] if is_job else parts[-2:])
        self.group = "/".join(parts[-3:-1]) if is_job else None  # the sweep

    @property
    def id(self) -> str | None:
        """Return the ID of the run; None before its first start."""
        return self._read_ids().get(self.tracker)

    def store_id(self, run_id: str) -> None:
        """Store the ID of the run, so that a resumed training continues it."""
        ids = self._read_ids()
        if ids.get(self.tracker) != run_id:
            atomic_write_text(self.file, json.dumps(ids | {self.tracker: run_id}, indent=2) + "\n")

    def _read_ids(self) -> dict[str, str]:
        return dict(json.loads(self.file.read_text("utf-8"))) if self.file.is_file() else {}


class Tracker(Logger, ABC):
    """Logger of an experiment tracker, to be combined with the logger of Lightning.

    A run that cannot be started raises a `UserError`, before the training. If logging fails later, a warning is logged
    and the training continues without this logger.
    """

    tracker: str  # name of the option: logger=NAME
    offline_hint: str  # settings that need no server
    _run: TrackerRun
    _is_started = False
    _has_failed = False

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """Return the object of the tracker that logs; start or continue the run at the first access."""
        if not self._is_started:
            with self.starting():
                self._run.store_id(self.start())
            self._is_started = True
        return self.lightning.experiment

    @property
    def lightning(self) -> Any:
        """Return the attributes of Lightning's logger, which this class overrides."""
        return super()

    @abstractmethod
    def start(self) -> str:
        """Start or continue the run; return its ID."""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self._attempt(self.lightning.log_hyperparams, params, *args, **kwargs)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self._attempt(self.lightning.log_metrics, metrics, step)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        self._attempt(self.lightning.after_save_checkpoint, checkpoint_callback)

    def finalize(self, status: str = "success") -> None:
        self._attempt(self.lightning.finalize, status)

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Convert all errors in the block to a `UserError` with the settings that need no server.

        Raises:
            UserError: The run cannot be started.
        """
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            hint = self.offline_hint
            if self._run.id:
                hint += f"\n  to start a new run instead of continuing '{self._run.id}': delete {self._run.file}"
            raise UserError(f"logger={self.tracker}: cannot start a run: {first_line(error)}\n  {hint}") from error

    def _attempt(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call a function; after its first failure log a warning, and call no function any more."""
        if self._has_failed:
            return
        try:
            function(*args, **kwargs)
        except UserError:
            raise
        except Exception as error:
            self._has_failed = True
            log.warning(f"logger={self.tracker}: {first_line(error)}; the run continues without this logger")
