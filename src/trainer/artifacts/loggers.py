"""TensorBoard and CSV loggers that a run can resume without missing or duplicate steps."""

import csv
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.utilities import rank_zero_only

from trainer.artifacts.fast_crc32c import install_fast_crc32c
from trainer.core.atomic_write import atomic_path
from trainer.core.errors import display_path
from trainer.core.metric_name import make_tensorboard_tag

CSV_FILENAME = "metrics.csv"
EVENT_FILES_GLOB = "tensorboard/**/events.out.tfevents.*"

log = logging.getLogger(__name__)


class ResilientTensorBoardLogger(TensorBoardLogger):
    """TensorBoardLogger that drops events instead of raising if the disk is full.

    Events are written without TensorBoard's thread, which would have to be woken up for each event.
    """

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        is_new = self._experiment is None
        summary_writer = super().experiment
        if is_new:
            install_fast_crc32c()
            get_file_writer = summary_writer._get_file_writer
            directory = self.log_dir

            def get_tolerant_writer() -> Any:  # a closed SummaryWriter opens a new file when it is used again
                file_writer = get_file_writer()
                events = file_writer.event_writer
                if not isinstance(events._async_writer, _ErrorTolerantWriter):
                    events._async_writer._worker.stop()
                    events._async_writer = _ErrorTolerantWriter(events._async_writer._writer, directory)
                return file_writer

            summary_writer._get_file_writer = get_tolerant_writer
        return summary_writer

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write all metrics as one event; Lightning writes an event per metric."""
        metrics = {make_tensorboard_tag(name): value for name, value in metrics.items()}
        if not all(isinstance(value, float | int) for value in metrics.values()):
            super().log_metrics(metrics, step)
            return
        from tensorboard.compat.proto.event_pb2 import Event  # not needed before the first event

        row = [{"tag": tag, "simple_value": value} for tag, value in metrics.items()]
        self.experiment._get_file_writer().add_event(Event(summary={"value": row}), step)

    @rank_zero_only
    def log_rows(self, rows: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Write the rows of several steps, opening the file once."""
        with self.experiment._get_file_writer().event_writer._async_writer.batch_writes():
            for step, row in rows:
                self.log_metrics(row, step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the file if a training or test has failed; after a success keep it open for the next stage.

        A run writes one file, as TensorBoard reads several in alphabetical and not in temporal order.
        """
        if status == "success" and self._experiment is not None:
            self.save()
        else:
            super().finalize(status)


class _ErrorTolerantWriter:
    """Writer that logs the first OSError and ignores all records after it.

    Args:
        records: TensorBoard's writer.
        directory: Directory of its file.
    """

    def __init__(self, records: Any, directory: str) -> None:
        self.records = records
        self.directory = directory
        self.has_failed = False

    def write(self, data: bytes) -> None:
        self._run_unless_failed(self.records.write, data)

    @contextmanager
    def batch_writes(self) -> Iterator[None]:
        """Collect all records of the block and write them with one call."""
        file = self.records._writer
        buffer = BytesIO()
        self.records._writer = buffer
        try:
            yield
        finally:
            self.records._writer = file
            self._run_unless_failed(file.write, buffer.getvalue())

    def flush(self) -> None:
        self._run_unless_failed(self.records.flush)

    def close(self) -> None:
        self._run_unless_failed(self.records.close)

    def _run_unless_failed(self, function: Callable[..., Any], *args: Any) -> None:
        if self.has_failed:
            return
        try:
            function(*args)
        except OSError as error:
            self.has_failed = True
            directory = display_path(Path(self.directory))
            log.warning(f"{directory}: {error}; the run continues without writing these logs")


class ResumableCSVLogger(CSVLogger):
    """CSVLogger that appends to an existing file and replaces files atomically."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            self._experiment = _ResumableWriter(log_dir=self.log_dir)
        return self._experiment

    def log_hyperparams(self, params: Any = None) -> None:
        """Do nothing: `config.yaml` in the run directory contains them."""

    @rank_zero_only
    def log_rows(self, rows: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Buffer the rows of several steps until `save`, without Lightning's write every hundred steps."""
        interval = self._flush_logs_every_n_steps
        self._flush_logs_every_n_steps = sys.maxsize
        try:
            for step, row in rows:
                self.log_metrics(dict(row), step)
        finally:
            self._flush_logs_every_n_steps = interval


class _ResumableWriter(ExperimentWriter):
    def __getattr__(self, name: str) -> Callable[..., None]:
        """Ignore TensorBoard's `add_image` and the like, which user code calls for all loggers of a run."""
        if not name.startswith("add_"):
            raise AttributeError(f"{type(self).__name__} has no attribute '{name}'")
        return lambda *_, **__: None

    def _check_log_dir_exists(self) -> None:
        """Read the columns of an existing file; Lightning would delete it."""
        file = Path(self.metrics_file_path)
        if file.is_file():
            with file.open(newline="") as lines:
                self.metrics_keys = next(csv.reader(lines), [])

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        file = Path(self.metrics_file_path)
        with file.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        _write_csv(file, fieldnames, rows)


def read_log_position(run: Path) -> dict[str, Any]:
    """Return the number of rows in `metrics.csv` and the size of each TensorBoard file.

    Args:
        run: Run directory; its logs must have been flushed.
    """
    file = run / CSV_FILENAME
    rows = max(0, file.read_bytes().count(b"\n") - 1) if file.is_file() else 0
    return {"rows": rows, "events": {str(path.relative_to(run)): path.stat().st_size for path in list_event_files(run)}}


def list_event_files(run: Path) -> list[Path]:
    """Return the TensorBoard files of a run."""
    return [*run.glob(EVENT_FILES_GLOB)]


def truncate_logs(run: Path, position: dict[str, Any], event_files: Iterable[Path]) -> list[str]:
    """Remove all log entries after a position; no process may be writing them.

    Args:
        run: Run directory.
        position: Result of `read_log_position`.
        event_files: TensorBoard files written before the run was resumed; later files are not changed.

    Returns:
        list: Descriptions of entries before the position that are missing.
    """
    missing = []
    for path in event_files:
        size = position["events"].get(str(path.relative_to(run)))
        if size is None:
            path.unlink()
        elif path.stat().st_size > size:
            os.truncate(path, size)
    missing += [name for name, size in position["events"].items() if not (run / name).is_file() and size]
    return missing + _truncate_csv(run / CSV_FILENAME, position["rows"])


def _truncate_csv(file: Path, count: int) -> list[str]:
    """Remove the rows after the first `count`; return a description of the missing ones if there are fewer."""
    if not file.is_file():
        return [file.name] if count else []
    with file.open(newline="") as lines:
        reader = csv.DictReader(lines)
        columns = list(reader.fieldnames or [])
        rows = [*islice(reader, count)]
    if count:
        _write_csv(file, columns, rows)
    else:
        file.unlink()
    return [f"{count - len(rows)} rows of {file.name}"] if len(rows) < count else []


def _write_csv(file: Path, columns: list[str], rows: Iterable[dict[str, Any]]) -> None:
    with atomic_path(file) as partial, partial.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, fieldnames=columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
