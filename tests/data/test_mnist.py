"""MNIST from small files in the real format and, if available, from the real files."""

import gzip
import hashlib
import struct

import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.io.download import DataFile
from trainer.data.loading.counter_rng import BatchRNG
from trainer.data.mnist import MNIST, read_examples


def encode_idx(shape, numbers):
    """Return the bytes of a file in the IDX format."""
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes(numbers)


def write(root, monkeypatch, *, train=20, test=6, height=28, width=28):
    """Write four small MNIST files: all pixels of image n are n, except 255 in row 2, column 5."""
    directory = root / "MNIST/raw"
    directory.mkdir(parents=True)
    for part, size, first in (("train", train, 0), ("t10k", test, 100)):
        images = []
        for number in range(first, first + size):
            image = [number] * (height * width)
            image[2 * width + 5] = 255
            images += image
        (directory / f"{part}-images-idx3-ubyte").write_bytes(encode_idx((size, height, width), images))
        (directory / f"{part}-labels-idx1-ubyte").write_bytes(encode_idx((size,), [n % 10 for n in range(size)]))
    checksums = {file.name: hashlib.md5(file.read_bytes()).hexdigest() for file in directory.iterdir()}
    files = {name: DataFile(f"MNIST/raw/{name}", md5) for name, md5 in checksums.items()}
    monkeypatch.setattr(MNIST, "files", files)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Return a function that loads small files: 20 training images, 0 to 19, and 6 test images, 100 to 105."""
    write(tmp_path, monkeypatch)

    def ready(**settings):
        data = MNIST(dir=str(tmp_path), download=False, **{"val_size": 5} | settings)
        data.setup("fit")
        return data

    return ready


def numbers(split):
    return split.inputs[:, 0, 0, 0].tolist()


def test_images_and_labels_are_read_in_order(tiny):
    test = tiny().splits["test"]
    assert test.inputs.shape == (6, 1, 28, 28)
    assert (test.inputs.dtype, test.targets.dtype) == (torch.uint8, torch.int64)
    assert numbers(test) == [100, 101, 102, 103, 104, 105]
    assert test.targets.tolist() == [0, 1, 2, 3, 4, 5]
    assert (test.inputs == 255).nonzero().tolist() == [[n, 0, 2, 5] for n in range(6)]


def test_validation_is_taken_from_the_training_images(tiny):
    splits = tiny().splits
    assert [len(splits[stage].targets) for stage in ("train", "val", "test")] == [15, 5, 6]
    assert sorted(numbers(splits["train"]) + numbers(splits["val"])) == list(range(20))
    assert sorted(numbers(splits["val"])) != list(range(5))
    for stage in ("train", "val"):
        assert splits[stage].targets.tolist() == [n % 10 for n in numbers(splits[stage])]


def test_every_run_has_the_same_split_unless_the_data_seed_differs(tiny):
    assert tiny(seed=1).checksum() == tiny(seed=2).checksum()
    assert tiny(data_seed=1).checksum() != tiny().checksum()


def test_pixels_are_standardized(tiny):
    prepared = tiny().prepare(torch.tensor([0, 255, 51], dtype=torch.uint8))
    # -0.1307 / 0.3081, 0.8693 / 0.3081, (0.2 - 0.1307) / 0.3081
    assert prepared.tolist() == pytest.approx([-0.4242129, 2.8214867, 0.2249270], abs=1e-6)


def test_preparing_does_not_change_the_stored_bytes(tiny):
    data = tiny()
    original = data.checksum()
    for batches in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        list(batches)
    assert data.checksum() == original


def test_training_images_are_not_changed_without_augmentation(tiny):
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert torch.equal(tiny().augment(images, BatchRNG(torch.arange(4), 0)), images)


@pytest.mark.parametrize("settings", [{"degrees": 20.0}, {"shift_pixels": 2.0}, {"scale": 0.3}])
def test_each_augmentation_changes_training_images_only(tiny, settings):
    unchanged, augmented = tiny(), tiny(augmentation=[{"affine": settings}])
    batch, augmented_batch = (next(iter(data.train_dataloader())) for data in (unchanged, augmented))
    assert torch.equal(batch[1], augmented_batch[1])
    assert not torch.allclose(batch[0], augmented_batch[0], atol=1e-3)
    assert torch.equal(*(next(iter(data.test_dataloader()))[0] for data in (unchanged, augmented)))


def test_augmentation_fills_with_black(tiny):
    data = tiny(augmentation=[{"affine": {"degrees": 30.0, "shift_pixels": 5.0, "scale": 0.3}}, "crop", "cutout"])
    black = data.prepare(torch.zeros(8, 1, 28, 28, dtype=torch.uint8))
    assert torch.allclose(data.augment(black, BatchRNG(torch.arange(8), 0)), black, atol=1e-5)


def test_images_of_another_size_are_an_error_with_both_shapes(tmp_path, monkeypatch):
    write(tmp_path, monkeypatch, height=28, width=27)
    with pytest.raises(UserError, match=r"expected inputs of shape \(1, 28, 28\), found \(1, 28, 27\)$"):
        MNIST(dir=str(tmp_path), val_size=5).setup("fit")


def test_missing_files_without_download_are_an_error(tmp_path):
    with pytest.raises(UserError, match="train-images-idx3-ubyte"):
        MNIST(dir=str(tmp_path), download=False).setup("fit")


def test_the_spec_needs_no_files(tmp_path):
    spec = MNIST(dir=str(tmp_path / "nowhere")).spec
    assert (spec.kind, spec.shape, spec.target, spec.output_size) == ("image", (1, 28, 28), "classification", 10)
    assert spec.class_names == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


def test_a_file_of_other_numbers_than_bytes_is_an_error(tmp_path):
    for name, content in (("images", encode_idx((1, 1, 4), [0, 0, 0, 1])), ("labels", encode_idx((1,), [0]))):
        (tmp_path / name).write_bytes(content)
    assert read_examples(tmp_path / "images", tmp_path / "labels").inputs.shape == (1, 1, 1, 4)
    (tmp_path / "images").write_bytes(b"\0\0\x0d" + encode_idx((1, 1, 1), [0, 0, 0, 1])[3:])
    with pytest.raises(UserError, match=r"images: expected bytes with 3 axes, found float32 of shape \(1, 1, 1\)$"):
        read_examples(tmp_path / "images", tmp_path / "labels")


def test_files_with_another_checksum_are_an_error_without_advice_to_delete_them(tmp_path, monkeypatch):
    published = MNIST.files["train-images-idx3-ubyte"]
    write(tmp_path, monkeypatch)
    monkeypatch.setattr(MNIST, "files", MNIST.files | {"train-images-idx3-ubyte": published})
    images = tmp_path / "MNIST/raw/train-images-idx3-ubyte"
    md5 = hashlib.md5(images.read_bytes()).hexdigest()
    with pytest.raises(UserError) as error:
        MNIST(dir=str(tmp_path), download=False).setup("fit")
    assert str(error.value) == (
        f"{images} is not the published file: its MD5 is {md5}, expected 6bbc9ace898e44ae57da46a324031adb.\n"
        "Move it away and put the published file there.\n"
        "To read the present file anyway: data.verify_checksums=false (Fashion-MNIST and other data sets use the "
        "same file names)"
    )


@pytest.mark.parametrize("packed", [False, True])
def test_files_with_another_checksum_are_read_on_request_and_nothing_is_downloaded(tmp_path, monkeypatch, packed):
    published = MNIST.files
    write(tmp_path, monkeypatch)
    monkeypatch.setattr(MNIST, "files", published)
    for file in [*(tmp_path / "MNIST/raw").iterdir()] if packed else []:
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    settings = {"dir": str(tmp_path), "val_size": 5, "verify_checksums": False, "mirrors": ["http://127.0.0.1:9/"]}
    data = MNIST(**settings)
    data.setup("fit")
    assert numbers(data.splits["test"]) == [100, 101, 102, 103, 104, 105]
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte.gz").unlink(missing_ok=True)
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte is missing, and it has no mirrors\.\nPut the"):
        MNIST(**settings).setup("fit")


@pytest.mark.real_data
def test_the_real_files_contain_the_official_images(mnist_dir):
    data = MNIST(dir=str(mnist_dir), download=False)
    data.setup("fit")
    assert [len(data.splits[stage].targets) for stage in ("train", "val", "test")] == [55_000, 5_000, 10_000]
    counts = torch.bincount(data.splits["test"].targets).tolist()
    assert counts == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    pixels = torch.cat([data.splits["train"].inputs, data.splits["val"].inputs]).double() / 255
    assert (pixels.mean().item(), pixels.std().item()) == pytest.approx((0.1307, 0.3081), abs=5e-5)
