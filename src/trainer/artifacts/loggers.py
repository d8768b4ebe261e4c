"""Logs: how far they were at a checkpoint, and back to there: a resumed run logs no step twice and leaves none out."""

import csv
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.utilities import rank_zero_only

from trainer.artifacts.fast_crc32c import quicken
from trainer.core.errors import shown

CSV, EVENTS = "metrics.csv", "tensorboard/**/events.out.tfevents.*"

log = logging.getLogger(__name__)


class EventLog(TensorBoardLogger):
    """Lightning's `TensorBoardLogger`, which never ends a training: from a full disk on, events are left out.

    No thread writes them, as TensorBoard's would: each event would wake it, and wait for it.
    """

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        new, board = self._experiment is None, super().experiment
        if new:
            quicken()
            writer_of, directory = board._get_file_writer, self.log_dir

            def forgiving_writer() -> Any:  # a board that was closed opens another file when it is written to again
                files = writer_of()
                events = files.event_writer
                if not isinstance(events._async_writer, _Forgiving):
                    events._async_writer._worker.stop()
                    events._async_writer = _Forgiving(events._async_writer._writer, directory)
                return files

            board._get_file_writer = forgiving_writer
        return board

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write a row of numbers as one event, where Lightning writes one for each number."""
        if not all(isinstance(value, float | int) for value in metrics.values()):
            super().log_metrics(metrics, step)
            return
        from tensorboard.compat.proto.event_pb2 import Event  # the first event of a run is soon enough

        row = [{"tag": name, "simple_value": value} for name, value in metrics.items()]
        self.experiment._get_file_writer().add_event(Event(summary={"value": row}), step)

    @rank_zero_only
    def log_rows(self, rows: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Write many rows, of a step each: TensorBoard's own writer opens the file for every one."""
        with self.experiment._get_file_writer().event_writer._async_writer.together():
            for step, row in rows:
                self.log_metrics(row, step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the file where a training or test has failed; one that has succeeded is followed by more of the run.

        One file holds it all: TensorBoard reads several in the order of their names, which is not that of time.
        """
        if status == "success" and self._experiment is not None:
            self.save()
        else:
            super().finalize(status)


class _Forgiving:
    """Writes records until the first one that cannot be written; says so, and is silent from then on.

    Args:
        records: TensorBoard's writer.
        directory: Of its file.
    """

    def __init__(self, records: Any, directory: str) -> None:
        self.records, self.directory, self.lost = records, directory, False

    def write(self, data: bytes) -> None:
        self._unless_lost(self.records.write, data)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written within this goes into the file at once, in the end."""
        file, gathered = self.records._writer, BytesIO()
        self.records._writer = gathered
        try:
            yield
        finally:
            self.records._writer = file
            self._unless_lost(file.write, gathered.getvalue())

    def flush(self) -> None:
        self._unless_lost(self.records.flush)

    def close(self) -> None:
        self._unless_lost(self.records.close)

    def _unless_lost(self, do: Callable[..., Any], *given: Any) -> None:
        if self.lost:
            return
        try:
            do(*given)
        except OSError as error:
            self.lost = True
            log.warning("%s: %s; the run goes on, but no more is written there", shown(Path(self.directory)), error)


class CsvLog(CSVLogger):
    """Lightning's `CSVLogger`, which goes on with a file that is there, and never leaves one half written."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            self._experiment = _Writer(log_dir=self.log_dir)
        return self._experiment

    def log_hyperparams(self, params: Any = None) -> None:
        """Do nothing: the run directory has them in `config.yaml`."""

    @rank_zero_only
    def log_rows(self, rows: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Take many rows, of a step each; `save` writes them, where Lightning would at every hundredth step."""
        often, self._flush_logs_every_n_steps = self._flush_logs_every_n_steps, sys.maxsize
        try:
            for step, row in rows:
                self.log_metrics(dict(row), step)
        finally:
            self._flush_logs_every_n_steps = often


class _Writer(ExperimentWriter):
    def _check_log_dir_exists(self) -> None:
        """Take over the columns of the file, where Lightning would delete it."""
        file = Path(self.metrics_file_path)
        if file.is_file():
            with file.open(newline="") as lines:
                self.metrics_keys = next(csv.reader(lines), [])

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        file = Path(self.metrics_file_path)
        with file.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        _write(file, fieldnames, rows)


def position(run: Path) -> dict[str, Any]:
    """How far the logs of a run are: rows of `metrics.csv`, bytes of each file of TensorBoard's.

    Args:
        run: The run directory; what is to be counted has been written.
    """
    file = run / CSV
    rows = max(0, file.read_bytes().count(b"\n") - 1) if file.is_file() else 0
    return {"rows": rows, "events": {str(each.relative_to(run)): each.stat().st_size for each in event_files(run)}}


def event_files(run: Path) -> list[Path]:
    """Return the files of TensorBoard's events."""
    return [*run.glob(EVENTS)]


def go_back(run: Path, to: dict[str, Any], events: Iterable[Path]) -> list[str]:
    """Take out of the logs all that came after a position; nobody may be writing to them.

    Args:
        run: The run directory.
        to: What `position` has returned.
        events: The files of events that there were before the run was resumed; later ones stay as they are.

    Returns:
        list: What is missing of that which came before, as words.
    """
    missing = []
    for each in events:
        size = to["events"].get(str(each.relative_to(run)))
        if size is None:
            each.unlink()
        elif each.stat().st_size > size:
            os.truncate(each, size)
    missing += [name for name, size in to["events"].items() if not (run / name).is_file() and size]
    file = run / CSV
    if file.is_file():
        with file.open(newline="") as lines:
            reader = csv.DictReader(lines)
            rows = [row for row, _ in zip(reader, range(to["rows"]), strict=False)]
            names = list(reader.fieldnames or [])
        if to["rows"]:
            _write(file, names, rows)
        else:
            file.unlink()
        missing += [f"{to['rows'] - len(rows)} rows of {CSV}"] * (len(rows) < to["rows"])
    elif to["rows"]:
        missing.append(CSV)
    return missing


def _write(file: Path, names: list[str], rows: Iterable[dict[str, Any]]) -> None:
    partial = file.with_name(file.name + ".part")
    with partial.open("w", newline="") as out:
        writer = csv.DictWriter(out, fieldnames=names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(file)
