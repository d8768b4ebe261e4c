"""`log_rows` writes the same files as `log_metrics`, with fewer file operations."""

from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.tensorflow_stub.io.gfile import LocalFileSystem

from trainer.artifacts.loggers import ResilientTensorBoardLogger, ResumableCSVLogger

ROWS = [(step, {"train/loss": 1 / step, "epoch": step // 100}) for step in range(1, 250)] + [(250, {"val/loss": 0.5})]


def log_separately(logger):
    for step, row in ROWS:
        logger.log_metrics(dict(row), step)
    logger.save()


def log_together(logger):
    logger.log_rows(ROWS[:120])
    logger.log_rows(ROWS[120:])
    logger.save()


def events(directory: Path):
    [file] = directory.rglob("events.out.tfevents.*")
    rows = [(event.step, list(event.summary.value)) for event in EventFileLoader(str(file)).Load()]
    return [(step, [(value.tag, value.tensor.float_val[0]) for value in values]) for step, values in rows if values]


def test_csv_files_are_equal(tmp_path):
    log_separately(ResumableCSVLogger(tmp_path / "a", name="", version=""))
    log_together(ResumableCSVLogger(tmp_path / "b", name="", version=""))
    assert (tmp_path / "a/metrics.csv").read_bytes() == (tmp_path / "b/metrics.csv").read_bytes()


def test_tensorboard_files_are_equal_and_written_in_fewer_calls(tmp_path, monkeypatch):
    written = []
    write = LocalFileSystem._write
    monkeypatch.setattr(LocalFileSystem, "_write", lambda *args: (written.append(args[1]), write(*args)))
    log_separately(ResilientTensorBoardLogger(tmp_path / "a", name="", version=""))
    assert len(written) >= len(ROWS)
    written.clear()
    log_together(ResilientTensorBoardLogger(tmp_path / "b", name="", version=""))
    assert len(written) <= 4  # the header and two calls of `log_rows`
    assert events(tmp_path / "a") == events(tmp_path / "b")
    assert len(events(tmp_path / "b")) == len(ROWS)


def test_rows_with_tensors_keep_their_order(tmp_path):
    logger = ResilientTensorBoardLogger(tmp_path, name="", version="")
    logger.log_rows([(1, {"a": 1.0}), (2, {"a": torch.tensor(2.0)}), (3, {"a": 3.0})])
    logger.save()
    assert events(tmp_path) == [(step, [("a", step)]) for step in (1, 2, 3)]


def test_rows_are_dropped_if_the_disk_is_full(tmp_path, monkeypatch, caplog):
    logger = ResilientTensorBoardLogger(tmp_path, name="", version="")
    logger.log_rows(ROWS[:10])
    first = events(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(LocalFileSystem, "_write", full)
        logger.log_rows(ROWS[10:20])
    logger.log_rows(ROWS[20:30])
    assert events(tmp_path) == first
    assert "No space left on device; the run continues without writing these logs" in caplog.text


@pytest.mark.parametrize("kind", [ResumableCSVLogger, ResilientTensorBoardLogger])
def test_a_logger_can_be_used_after_an_error(kind, tmp_path):
    logger = kind(tmp_path, name="", version="")
    with pytest.raises((AttributeError, TypeError)):
        logger.log_rows([ROWS[0], (2, None)])
    log_together(logger)
    if kind is ResumableCSVLogger:
        assert logger._flush_logs_every_n_steps == 100
    else:
        assert len(events(tmp_path)) == 1 + len(ROWS)


def test_the_csv_logger_ignores_images_of_user_code_and_no_other_names(tmp_path):
    logger = ResumableCSVLogger(tmp_path, name="", version="")
    logger.experiment.add_image("generated", torch.zeros(1, 2, 2), 0)
    with pytest.raises(AttributeError, match="has no attribute 'log_imag'"):
        logger.experiment.log_imag("generated")
