"""Settings of array files, and compressed ones."""

import bz2
import gzip
import io
import lzma
import struct

import numpy as np
import pytest

from trainer.core.errors import UserError
from trainer.data.arrays import Arrays

LABELS = np.arange(30) % 3
BYTES = np.random.default_rng(0).integers(0, 256, (30, 4, 5), np.uint8)


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({"val_path": "v.npz"}, "data.val_path"),
        ({"path": "a.npz", "test_path": "t.npz"}, "data.path, data.test_path"),
        ({"y": "targets"}, "data.y"),
    ],
)
def test_settings_of_archives_are_errors_beside_files_of_one_array(tmp_path, settings, keys):
    np.save(tmp_path / "x.npy", BYTES)
    np.save(tmp_path / "y.npy", LABELS)
    with pytest.raises(UserError) as error:
        Arrays(dir=str(tmp_path), images="x.npy", labels="y.npy", **settings)
    assert str(error.value) == f"{keys}: data.images and data.labels are set too; remove one or the other"


def test_files_of_a_test_split_are_an_error_beside_an_archive():
    with pytest.raises(UserError, match=r"^data.images: no value given"):
        Arrays(path="my.npz", test_images="x.npy", test_labels="y.npy")


@pytest.mark.parametrize("stage", ["val", "test"])
def test_a_missing_archive_of_a_split_is_named(tmp_path, stage):
    np.savez(tmp_path / "my.npz", x=BYTES, y=LABELS)
    with pytest.raises(UserError) as error:
        Arrays(dir=str(tmp_path), path="my.npz", **{f"{stage}_path": "none.npz"})
    assert str(error.value) == f"data.{stage}_path: no file '{tmp_path}/none.npz'"


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_of_one_array_are_read(tmp_path, compress):
    content = io.BytesIO()
    np.save(content, BYTES)
    (tmp_path / "x.npy.packed").write_bytes(compress(content.getvalue()))
    idx = struct.pack(">HBBI", 0, 8, 1, 30) + LABELS.astype(np.uint8).tobytes()
    (tmp_path / "y.idx.packed").write_bytes(compress(idx))
    data = Arrays(dir=str(tmp_path), images="x.npy.packed", labels="y.idx.packed")
    data.setup("fit")
    assert (data.spec.kind, data.spec.shape, data.spec.output_size) == ("image", (1, 4, 5), 3)
    assert sum(len(split.targets) for split in data.splits.values()) == 30


def test_a_suggested_path_is_quoted_for_the_shell(tmp_path):
    np.savez(tmp_path / "my arrays, (1).npz", x=BYTES, y=LABELS)
    with pytest.raises(UserError) as error:
        Arrays(dir=str(tmp_path), images="my arrays, (1).npz")
    assert str(error.value).endswith(" is an .npz file; set 'data.path=\"my arrays, (1).npz\"'")
