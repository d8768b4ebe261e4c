"""Fashion-MNIST, KMNIST and EMNIST from small files in the real format."""

import gzip
import hashlib
import struct
import zipfile

import pytest
import torch

from trainer.core.errors import UserError
from trainer.data import emnist
from trainer.data.emnist import CLASSES, EMNIST
from trainer.data.fashion_mnist import FashionMNIST
from trainer.data.io.download import DataFile
from trainer.data.kmnist import KMNIST

FOLDERS = {FashionMNIST: "FashionMNIST", KMNIST: "KMNIST"}


def encode_idx(shape, numbers):
    """Return the bytes of a file in the IDX format."""
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes(numbers)


def encode_images(count):
    """Return images whose second row is white and whose first pixel is their number."""
    image = [0] * 28 + [255] * 28 + [0] * 26 * 28
    return encode_idx((count, 28, 28), [pixel for number in range(count) for pixel in [number, *image[1:]]])


@pytest.mark.parametrize("cls", FOLDERS)
def test_the_published_packed_files_are_read(cls, tmp_path, monkeypatch):
    directory = tmp_path / FOLDERS[cls] / "raw"
    directory.mkdir(parents=True)
    files = {}
    for part, count in (("train", 12), ("t10k", 4)):
        for kind, content in (
            ("images-idx3", encode_images(count)),
            ("labels-idx1", encode_idx((count,), [number % 10 for number in range(count)])),
        ):
            name = f"{part}-{kind}-ubyte"
            file = directory / f"{name}.gz"
            file.write_bytes(gzip.compress(content))
            published = cls.files[name]
            assert (published.path, published.download) == (f"{FOLDERS[cls]}/raw/{name}", f"{name}.gz")
            assert len(published.download_md5) == 32
            md5 = hashlib.md5(file.read_bytes()).hexdigest()
            files[name] = DataFile(published.path, "", published.download, md5)
    monkeypatch.setattr(cls, "files", files)
    data = cls(dir=str(tmp_path), val_size=2)
    data.setup("fit")
    assert [len(split.targets) for split in data.splits.values()] == [10, 2, 4]
    assert data.splits["test"].inputs[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert data.splits["test"].targets.tolist() == [0, 1, 2, 3]
    assert (data.spec.name, len(data.spec.class_names)) == (cls.name, 10)


@pytest.mark.parametrize("cls", FOLDERS)
def test_another_file_than_the_published_one_is_an_error(cls, tmp_path):
    directory = tmp_path / FOLDERS[cls] / "raw"
    directory.mkdir(parents=True)
    (directory / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"x"))
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte.gz is not the published file"):
        cls(dir=str(tmp_path), download=False).setup("fit")


@pytest.fixture
def emnist_dir(tmp_path, monkeypatch):
    """Write a small archive of the letters, numbered from 1."""
    (tmp_path / "EMNIST/raw").mkdir(parents=True)
    archive = tmp_path / "EMNIST/raw/gzip.zip"
    with zipfile.ZipFile(archive, "w") as content:
        for part, count in (("train", 12), ("test", 4)):
            prefix = f"gzip/emnist-letters-{part}"
            content.writestr(f"{prefix}-images-idx3-ubyte.gz", gzip.compress(encode_images(count)))
            labels = encode_idx((count,), [number % 26 + 1 for number in range(count)])
            content.writestr(f"{prefix}-labels-idx1-ubyte.gz", gzip.compress(labels))
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(emnist, "ARCHIVE", DataFile("EMNIST/raw/gzip.zip", md5))
    return tmp_path


def test_emnist_is_unpacked_and_its_images_are_transposed(emnist_dir):
    data = EMNIST(dir=str(emnist_dir), split="letters", val_size=2)
    data.setup("fit")
    test = data.splits["test"]
    assert test.targets.tolist() == [0, 1, 2, 3]
    assert (test.inputs == 255).nonzero()[:28].tolist() == [[0, 0, row, 1] for row in range(28)]  # a column
    assert data.spec.class_names == tuple("abcdefghijklmnopqrstuvwxyz")
    (emnist_dir / "EMNIST/raw/gzip.zip").unlink()  # the unpacked files are sufficient
    again = EMNIST(dir=str(emnist_dir), split="letters", val_size=2, download=False)
    again.setup("fit")
    assert torch.equal(again.splits["train"].inputs, data.splits["train"].inputs)


def test_a_missing_member_of_the_archive_is_an_error(emnist_dir):
    with pytest.raises(UserError, match=r"gzip.zip cannot be unpacked: .*emnist-digits-train-images-idx3-ubyte.gz"):
        EMNIST(dir=str(emnist_dir), split="digits").setup("fit")


def test_a_missing_archive_is_an_error_with_the_files_and_the_checksum(tmp_path):
    with pytest.raises(
        UserError, match=r"(?s)58c8d27c78d21e728a6bc7b3cc06412e.*\nOr put its unpacked files into .*raw: em"
    ):
        EMNIST(dir=str(tmp_path), download=False).setup("fit")


def test_the_classes_of_emnist_are_the_official_ones():
    assert {split: len(classes) for split, classes in CLASSES.items()} == {
        "balanced": 47,
        "byclass": 62,
        "bymerge": 47,
        "letters": 26,
        "digits": 10,
        "mnist": 10,
    }
    assert CLASSES["balanced"] == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
