"""CIFAR-10 from small files in the real format and, if available, from the real files."""

import hashlib
import pickle
import tarfile

import numpy as np
import pytest
import torch

from trainer.core.errors import UserError
from trainer.data import cifar10
from trainer.data.cifar10 import CIFAR10, FOLDER, read_batch
from trainer.data.io.download import DataFile


def batch(first, size):
    """Return a file's bytes: photograph n is n in its red plane, n + 1 in green, n + 2 in blue; its class is n % 10."""
    planes = [[n + channel] * 1024 for n in range(first, first + size) for channel in range(3)]
    data = np.array(planes, np.uint8).reshape(size, 3072)
    return pickle.dumps({b"data": data, b"labels": [n % 10 for n in range(first, first + size)]})


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Write six small files: 5 x 4 training photographs, 0 to 19, and 3 test photographs, 100 to 102."""
    contents = {f"data_batch_{part}": batch(4 * (part - 1), 4) for part in range(1, 6)} | {"test_batch": batch(100, 3)}
    (tmp_path / FOLDER).mkdir()
    for name, content in contents.items():
        (tmp_path / FOLDER / name).write_bytes(content)
    files = {name: DataFile(f"{FOLDER}/{name}", hashlib.md5(content).hexdigest()) for name, content in contents.items()}
    monkeypatch.setattr(cifar10, "FILES", files)
    return tmp_path


def ready(root, **settings):
    data = CIFAR10(dir=str(root), **{"val_size": 5, "download": False} | settings)
    data.setup("fit")
    return data


def test_photographs_are_read_plane_by_plane_in_order(tiny):
    test = ready(tiny).splits["test"]
    assert test.inputs.shape == (3, 3, 32, 32)
    assert test.inputs.dtype == torch.uint8
    assert test.inputs[:, :, 7, 9].tolist() == [[100, 101, 102], [101, 102, 103], [102, 103, 104]]
    assert test.targets.tolist() == [0, 1, 2]


def test_validation_is_taken_from_all_five_training_files(tiny):
    splits = ready(tiny).splits
    numbers = {stage: splits[stage].inputs[:, 0, 0, 0].tolist() for stage in ("train", "val")}
    assert [len(numbers["train"]), len(numbers["val"])] == [15, 5]
    assert sorted(numbers["train"] + numbers["val"]) == list(range(20))
    assert splits["train"].targets.tolist() == [n % 10 for n in numbers["train"]]


def test_each_color_is_standardized_separately(tiny):
    prepared = ready(tiny).prepare(torch.full((1, 3, 32, 32), 255, dtype=torch.uint8))
    # (1 - 0.4914) / 0.2470, (1 - 0.4822) / 0.2435, (1 - 0.4465) / 0.2616
    assert prepared[0, :, 0, 0].tolist() == pytest.approx([2.0591093, 2.1264887, 2.1158257], abs=1e-5)


def test_a_missing_file_is_unpacked_from_an_existing_archive(tiny, monkeypatch):
    archive = tiny / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tiny / FOLDER, FOLDER)
    monkeypatch.setattr(cifar10, "ARCHIVE", DataFile(archive.name, hashlib.md5(archive.read_bytes()).hexdigest()))
    (tiny / FOLDER / "data_batch_3").unlink()
    assert len(ready(tiny).splits["train"].targets) == 15


def test_a_missing_file_without_the_archive_is_an_error(tiny):
    (tiny / FOLDER / "data_batch_3").unlink()
    with pytest.raises(UserError) as error:
        ready(tiny)
    for part in ("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", "data.dir", f"{FOLDER}: data_batch_3"):
        assert part in str(error.value)


def test_a_truncated_file_is_an_error_before_it_is_unpickled(tiny):
    file = tiny / FOLDER / "data_batch_2"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UserError, match="data_batch_2 is not the published file: its MD5 is"):
        ready(tiny)


@pytest.mark.parametrize(
    "content", [b"", b"no pickle", pickle.dumps([1, 2]), pickle.dumps({b"data": [1], b"labels": []})]
)
def test_a_file_of_another_format_is_an_error(content, tmp_path):
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(UserError, match="not a batch of CIFAR-10"):
        read_batch(tmp_path / "batch")


def test_selected_classes_are_numbered_as_listed_in_every_split(tiny):
    data = ready(tiny, classes=["truck", "bird", "airplane"], val_size=2)  # 9, 2 and 0
    assert data.spec.class_names == ("truck", "bird", "airplane")
    assert data.spec.output_size == 3
    numbers = {stage: split.inputs[:, 0, 0, 0].tolist() for stage, split in data.splits.items()}
    assert sorted(numbers["train"] + numbers["val"]) == [0, 2, 9, 10, 12, 19]
    assert len(numbers["val"]) == 2
    for stage, split in data.splits.items():
        assert split.targets.tolist() == [{9: 0, 2: 1, 0: 2}[n % 10] for n in numbers[stage]]
    assert (numbers["test"], data.splits["test"].targets.tolist()) == ([100, 102], [2, 1])


def test_two_classes_have_one_output(tiny):
    spec = ready(tiny, classes=["cat", "bird"], val_size=1).spec
    assert (spec.output_size, spec.class_names) == (1, ("cat", "bird"))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["cat", "dgo"], "no class 'dgo'; did you mean 'dog'"),
        (["cat", "lion"], "no class 'lion'; there are: airplane, automobile, bird"),
        (["cat"], r"\['cat'\] is invalid; expected two or more different classes"),
        (["cat", "dog", "cat"], r"\['cat', 'dog', 'cat'\] is invalid; expected two or more different classes"),
    ],
)
def test_invalid_classes_are_an_error(classes, message):
    with pytest.raises(UserError, match=rf"^data\.classes: {message}"):
        CIFAR10(classes=classes)


def test_a_train_size_selects_equally_many_of_each_class_and_does_not_change_validation_and_test(tiny):
    classes = ["truck", "bird", "airplane", "dog"]  # two training photographs each
    for seed in range(5):
        subset = ready(tiny, classes=classes, val_size=1, train_size=4, data_seed=seed).splits
        full = ready(tiny, classes=classes, val_size=1, data_seed=seed).splits
        assert sorted(subset["train"].targets.tolist()) == [0, 1, 2, 3]
        assert {*subset["train"].inputs[:, 0, 0, 0].tolist()} <= {*full["train"].inputs[:, 0, 0, 0].tolist()}
        assert torch.equal(subset["val"].inputs, full["val"].inputs)
        assert torch.equal(subset["test"].inputs, full["test"].inputs)


def test_a_larger_train_size_contains_the_smaller_one_and_depends_on_the_data_seed(tiny):
    def select_photographs(**settings):
        data = ready(tiny, **{"classes": ["bird", "frog"], "val_size": 1} | settings)
        return {*data.splits["train"].inputs[:, 0, 0, 0].tolist()}

    assert select_photographs(train_size=2, val_size=1) < select_photographs(val_size=1)
    assert len({tuple(sorted(select_photographs(train_size=2, data_seed=seed))) for seed in range(20)}) == 4


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (3, "3 is not a multiple of the 2 classes"),
        (0, "0 is not a multiple of the 2 classes"),
        (4, "4 needs 2 of each class, but one has only 1 for training; use at most 2$"),
    ],
)
def test_an_invalid_train_size_is_an_error(size, message, tiny):
    with pytest.raises(UserError, match=rf"^data\.train_size: {message}"):
        ready(tiny, classes=["bird", "frog"], val_size=1, train_size=size)


@pytest.mark.real_data
def test_the_real_files_have_their_sizes_and_classes(cifar10_dir):
    data = CIFAR10(dir=str(cifar10_dir), download=False)
    data.setup("fit")
    assert [len(data.splits[stage].targets) for stage in ("train", "val", "test")] == [45000, 5000, 10000]
    assert torch.bincount(data.splits["test"].targets).tolist() == [1000] * 10
    pixels = data.prepare(data.splits["train"].inputs[:10000])
    assert pixels.mean((0, 2, 3)).abs().max() < 0.02
    assert (pixels.std((0, 2, 3)) - 1).abs().max() < 0.02
