"""The checksum of TensorBoard's records: made in C, it is the one that TensorBoard's own Python makes."""

import struct

import google_crc32c
import torch
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow as tensorboards

from trainer.artifacts.fast_crc32c import quicken
from trainer.artifacts.loggers import EventLog
from trainer.report.tensorboard_images import pictures


def masked_by_python(data: bytes) -> int:
    total = tensorboards.crc_finalize(tensorboards.crc_update(tensorboards.CRC_INIT, data))
    return ((total >> 15 | total << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records_of(data: bytes):
    while data:
        [length] = struct.unpack("<Q", data[:8])
        sums = struct.unpack("<I", data[8:12]) + struct.unpack("<I", data[12 + length : 16 + length])
        yield data[:8], data[12 : 12 + length], sums
        data = data[16 + length :]


def test_the_sums_in_a_log_are_those_of_tensorboards_python(tmp_path):
    logger = EventLog(tmp_path / "tensorboard", name="", version="")
    logger.log_rows([(step, {"train/loss": 1 / step}) for step in range(1, 40)])
    logger.experiment.add_image("noise", torch.rand(3, 40, 40))
    logger.experiment.add_text("nothing", "")
    logger.finalize("failed")
    [file] = (tmp_path / "tensorboard").glob("events.out.tfevents.*")
    found = [*records_of(file.read_bytes())]
    assert len(found) == 1 + 39 + 2
    for header, record, sums in found:
        assert sums == (masked_by_python(header), masked_by_python(record))
    assert [picture.title for picture in pictures(tmp_path)] == ["noise"]


def test_tensorboards_records_are_summed_in_c(monkeypatch):
    monkeypatch.setattr(tensorboards, "crc32c", None)
    quicken()
    assert tensorboards.crc32c is google_crc32c.value
    assert tensorboards.masked_crc32c(b"trainer") == masked_by_python(b"trainer")
