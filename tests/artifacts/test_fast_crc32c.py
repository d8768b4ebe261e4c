"""The C checksum of TensorBoard records equals the one of TensorBoard's Python code."""

import struct

import google_crc32c
import torch
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow as tensorboards

from trainer.artifacts.fast_crc32c import install_fast_crc32c
from trainer.artifacts.loggers import ResilientTensorBoardLogger
from trainer.reports.tensorboard_images import read_images


def masked_by_python(data: bytes) -> int:
    total = tensorboards.crc_finalize(tensorboards.crc_update(tensorboards.CRC_INIT, data))
    return ((total >> 15 | total << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records_of(data: bytes):
    while data:
        [length] = struct.unpack("<Q", data[:8])
        sums = struct.unpack("<I", data[8:12]) + struct.unpack("<I", data[12 + length : 16 + length])
        yield data[:8], data[12 : 12 + length], sums
        data = data[16 + length :]


def test_checksums_in_a_log_equal_those_of_python(tmp_path):
    logger = ResilientTensorBoardLogger(tmp_path / "tensorboard", name="", version="")
    logger.log_rows([(step, {"train/loss": 1 / step}) for step in range(1, 40)])
    logger.experiment.add_image("noise", torch.rand(3, 40, 40))
    logger.experiment.add_text("nothing", "")
    logger.finalize("failed")
    [file] = (tmp_path / "tensorboard").glob("events.out.tfevents.*")
    records = [*records_of(file.read_bytes())]
    assert len(records) == 1 + 39 + 2
    for header, record, sums in records:
        assert sums == (masked_by_python(header), masked_by_python(record))
    assert [picture.title for picture in read_images(tmp_path)] == ["noise"]


def test_tensorboard_uses_the_c_library(monkeypatch):
    monkeypatch.setattr(tensorboards, "crc32c", None)
    install_fast_crc32c()
    assert tensorboards.crc32c is google_crc32c.value
    assert tensorboards.masked_crc32c(b"trainer") == masked_by_python(b"trainer")
