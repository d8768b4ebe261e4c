"""Logs: many rows at once make the same files as one by one, and open each file once."""

from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.tensorflow_stub.io.gfile import LocalFileSystem

from trainer.artifacts.loggers import CsvLog, EventLog

ROWS = [(step, {"train/loss": 1 / step, "epoch": step // 100}) for step in range(1, 250)] + [(250, {"val/loss": 0.5})]


def one_by_one(logger):
    for step, row in ROWS:
        logger.log_metrics(dict(row), step)
    logger.save()


def at_once(logger):
    logger.log_rows(ROWS[:120])
    logger.log_rows(ROWS[120:])
    logger.save()


def events(folder: Path):
    [file] = folder.rglob("events.out.tfevents.*")
    rows = [(event.step, list(event.summary.value)) for event in EventFileLoader(str(file)).Load()]
    return [(step, [(value.tag, value.tensor.float_val[0]) for value in values]) for step, values in rows if values]


def test_rows_at_once_are_in_the_csv_file_what_they_are_one_by_one(tmp_path):
    one_by_one(CsvLog(tmp_path / "a", name="", version=""))
    at_once(CsvLog(tmp_path / "b", name="", version=""))
    assert (tmp_path / "a/metrics.csv").read_bytes() == (tmp_path / "b/metrics.csv").read_bytes()


def test_rows_at_once_are_in_tensorboards_file_what_they_are_one_by_one(tmp_path, monkeypatch):
    written, write = [], LocalFileSystem._write
    monkeypatch.setattr(LocalFileSystem, "_write", lambda *given: (written.append(given[1]), write(*given)))
    one_by_one(EventLog(tmp_path / "a", name="", version=""))
    assert len(written) >= len(ROWS)
    written.clear()
    at_once(EventLog(tmp_path / "b", name="", version=""))
    assert len(written) <= 4  # its head, and twice many rows
    assert events(tmp_path / "a") == events(tmp_path / "b")
    assert len(events(tmp_path / "b")) == len(ROWS)


def test_rows_at_once_keep_their_order_whatever_is_in_them(tmp_path):
    logger = EventLog(tmp_path, name="", version="")
    logger.log_rows([(1, {"a": 1.0}), (2, {"a": torch.tensor(2.0)}), (3, {"a": 3.0})])
    logger.save()
    assert events(tmp_path) == [(step, [("a", step)]) for step in (1, 2, 3)]


def test_rows_for_a_full_disk_are_left_out_and_the_run_goes_on(tmp_path, monkeypatch, caplog):
    logger = EventLog(tmp_path, name="", version="")
    logger.log_rows(ROWS[:10])
    before = events(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(LocalFileSystem, "_write", full)
        logger.log_rows(ROWS[10:20])
    logger.log_rows(ROWS[20:30])
    assert events(tmp_path) == before
    assert "No space left on device; the run goes on" in caplog.text


@pytest.mark.parametrize("kind", [CsvLog, EventLog])
def test_an_error_amid_the_rows_leaves_the_logger_as_it_was(kind, tmp_path):
    logger = kind(tmp_path, name="", version="")
    with pytest.raises((AttributeError, TypeError)):
        logger.log_rows([ROWS[0], (2, None)])
    at_once(logger)
    if kind is CsvLog:
        assert logger._flush_logs_every_n_steps == 100
    else:
        assert len(events(tmp_path)) == 1 + len(ROWS)
