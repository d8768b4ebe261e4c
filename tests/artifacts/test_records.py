"""Records: framed many at once, they are what TensorBoard's own writer makes of them."""

from io import BytesIO

import numpy as np
import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from trainer.artifacts.records import FEW, framed


def by_tensorboard(records):
    file = BytesIO()
    writer = RecordWriter(file)
    for record in records:
        writer.write(record)
    return file.getvalue()


@pytest.mark.parametrize(
    "lengths",
    [[], [0], [7], [61] * (FEW - 1), [61] * FEW, [0] * FEW, [60, 61, 62] * 200, [1, *range(40), 500]],
    ids=["none", "empty", "one", "few", "many", "many_empty", "mixed", "all_different"],
)
def test_framed_records_are_those_of_tensorboards_writer(lengths):
    random = np.random.default_rng(1)
    records = [random.bytes(length) for length in lengths]
    assert framed(records) == by_tensorboard(records)
