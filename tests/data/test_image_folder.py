"""Splits, batches, resume and errors of image directories."""

import json
import multiprocessing
import re
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import GaussianBlur

import trainer
from trainer.core.errors import UserError
from trainer.data.image_folder import ImageFolder
from trainer.data.preprocessing.base import restore_preprocessing
from trainer.data.preprocessing.images import ImagePreprocessing

CLASSES = ("bee", "cat", "dog")
TINY = ["data=image_folder", "data.path=my", "data.size=8", "data.batch_size=4", "model=cnn"]
TINY += ["model.net.channels=[2,2]", "model.net.hidden=[4]"]


def write_images(directory, count, seed=0, suffix="png"):
    """Write random images of 12 x 10 pixels, with one color per class."""
    for number, name in enumerate(CLASSES):
        (directory / name).mkdir(parents=True)
        random = torch.Generator().manual_seed(seed + number)
        for index in range(count):
            pixels = torch.randint(100, (3, 10, 12), generator=random, dtype=torch.uint8)
            pixels[number] += 150
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(directory / name / f"{index:02}.{suffix}")
    return directory


@pytest.fixture
def image_dir(tmp_path):
    """Create 30 images in three classes."""
    return write_images(tmp_path / "my", 10)


def ready(path, **settings):
    data = ImageFolder(
        path=str(path), **{"size": 8, "batch_size": 4, "workers": 0, "seed": 3, "cache": False} | settings
    )
    data.setup("fit")
    return data


def batches(loader, epochs=1):
    return [batch for _ in range(epochs) for batch in loader]


def same(first, second):
    return len(first) == len(second) and all(
        torch.equal(a, b) for pair in zip(first, second, strict=True) for a, b in zip(*pair, strict=True)
    )


AUGMENTED = {
    "augmentation": [
        "flip",
        "alternating_flip",
        {"crop": {"padding": 2, "padding_mode": "reflect"}},
        {"affine": {"degrees": 10.0, "shift_pixels": 1.0, "scale": 0.1}},
        "cutout",
        "color_jitter",
        "rand_augment",
        "trivial_augment",
        GaussianBlur(3),
        "mixup",
        "cutmix",
    ]
}


def test_the_batches_are_the_same_for_any_number_of_workers(image_dir):
    by_workers = [
        batches(ready(image_dir, workers=workers, **AUGMENTED).train_dataloader(), 2) for workers in (0, 1, 2)
    ]
    assert [len(part) for _, part in by_workers[0]] == [4, 4, 4, 4, 2] * 2
    assert by_workers[0][0][0].shape == (4, 3, 8, 8)
    assert same(by_workers[0], by_workers[1])
    assert same(by_workers[0], by_workers[2])
    assert not same(by_workers[0][:5], by_workers[0][5:])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_epoch_returns_the_remaining_batches(image_dir, workers):
    uninterrupted = batches(ready(image_dir, **AUGMENTED).train_dataloader(), 2)
    loader = ready(image_dir, workers=workers, **AUGMENTED).train_dataloader()
    loader.load_state_dict({"epoch": 1, "position": 3})
    assert same(batches(loader), uninterrupted[8:])


def test_a_resumed_epoch_reads_only_the_remaining_images(image_dir, monkeypatch):
    loader, read = ready(image_dir).train_dataloader(), []
    read_image = ImagePreprocessing.read_image
    monkeypatch.setattr(
        ImagePreprocessing, "read_image", lambda self, file: read.append(file) or read_image(self, file)
    )
    loader.load_state_dict({"epoch": 0, "position": 3})
    rest = batches(loader)
    assert len(read) == sum(len(targets) for _, targets in rest) == 6
    assert [CLASSES.index(Path(file).parent.name) for file in read] == torch.cat([t for _, t in rest]).tolist()


def test_the_position_does_not_count_prefetched_batches(image_dir):
    loader = ready(image_dir, workers=2).train_dataloader()
    iterator = iter(loader)
    next(iterator)
    assert loader.state_dict() == {"epoch": 0, "position": 1}


def test_the_images_are_split_between_two_processes(image_dir):
    data = ready(image_dir)
    loaders = [data._loader("train", shuffle=True) for _ in range(2)]
    for rank, loader in enumerate(loaders):
        loader.rank, loader.world_size = rank, 2
    shards = [torch.cat([loader.batch_indices(number) for number in range(len(loader))]) for loader in loaders]
    assert sorted(torch.cat(shards).tolist()) == list(range(18))
    assert [len(inputs) for loader in loaders for inputs, _ in loader] == [4, 4, 1, 4, 4, 1]


def test_splits_are_stratified_and_disjoint(image_dir):
    data = ready(image_dir)
    assert {stage: split.targets.bincount().tolist() for stage, split in data.splits.items()} == {
        "train": [6, 6, 6],
        "val": [2, 2, 2],
        "test": [2, 2, 2],
    }
    assert sorted(torch.cat([split.inputs for split in data.splits.values()]).tolist()) == list(range(30))
    test_splits = [
        ready(image_dir, **settings).splits["test"].inputs.tolist() for settings in ({}, {"seed": 4}, {"data_seed": 1})
    ]
    assert test_splits[0] == test_splits[1] != test_splits[2]


def test_splits_without_a_directory_are_taken_from_training(tmp_path):
    write_images(tmp_path / "my/train", 5)
    write_images(tmp_path / "my/valid", 2, seed=9, suffix="jpg")
    data = ready(tmp_path / "my")
    assert {stage: len(split.targets) for stage, split in data.splits.items()} == {"train": 12, "val": 6, "test": 3}
    assert {Path(data.files[number]).parts[-3] for number in data.splits["val"].inputs} == {"valid"}
    assert {Path(data.files[number]).parts[-3] for number in data.splits["test"].inputs} == {"train"}


def test_selected_classes_are_numbered_as_listed(image_dir):
    data = ready(image_dir, classes=["dog", "bee"])
    assert (data.spec.class_names, data.spec.output_size) == (("dog", "bee"), 1)
    assert {Path(data.files[number]).parent.name for number in data.splits["train"].inputs[:6]} == {"dog"}


def test_images_are_cropped_and_standardized_as_in_imagenet(image_dir):
    data = ready(image_dir)
    inputs, _ = next(iter(data.val_dataloader()))
    first = ImagePreprocessing((3, 8, 8), 0.0, 1.0, fit="crop").read_image(data.files[data.splits["val"].inputs[0]])
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    torch.testing.assert_close(inputs[0], (first / 255 - mean) / std, atol=1e-5, rtol=0)
    low, high = data.spec.value_range
    assert (low, high) == pytest.approx((-2.1179, 2.64), abs=1e-4)
    assert ready(image_dir, channels=1).spec.shape == (1, 8, 8)


def test_the_checksum_depends_on_names_and_sizes_but_not_on_the_location(image_dir, tmp_path):
    moved_dir, original = tmp_path / "moved", ready(image_dir).checksum()
    image_dir.rename(moved_dir)
    assert ready(moved_dir).checksum() == original
    (moved_dir / "bee/00.png").rename(moved_dir / "bee/99.png")
    renamed = ready(moved_dir).checksum()
    (moved_dir / "bee/99.png").write_bytes((moved_dir / "bee/99.png").read_bytes() + b" ")
    assert len({original, renamed, ready(moved_dir).checksum()}) == 3


def test_the_state_contains_fit_only_if_it_is_set(image_dir):
    restored = restore_preprocessing(ready(image_dir, fit="pad").preprocessing.state())
    assert restored.fit == "pad"
    assert "fit" not in ImagePreprocessing((3, 4, 4), 0.0, 1.0).state()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": ["bee", "cta"]}, "^data.classes: no class 'cta'; did you mean 'cat'[?]$"),
        ({"classes": ["bee"]}, r"^data.classes: \['bee'\] is invalid; expected two or more different classes"),
        ({"workers": -1}, "^data.workers: -1 is less than 0$"),
        ({"mean": [0.5]}, r"^data.mean: \[0.5\] is invalid; expected one number for each of 3 channel\(s\)$"),
        ({"std": [1, 1, 0]}, r"^data.std: \[1, 1, 0\] is invalid; expected one positive number for each of 3 channel"),
        (
            {"val_fraction": 0.6, "test_fraction": 0.5},
            "^data: one class has only 10 examples, which cannot be split into",
        ),
    ],
)
def test_invalid_settings_are_errors(image_dir, settings, message):
    with pytest.raises(UserError, match=message):
        ready(image_dir, **settings)


def test_predictions_equal_the_outputs_in_the_test_of_a_run(image_dir, command):
    others = {*multiprocessing.active_children()}  # of other tests
    outcome = command(*TINY, "data.workers=2", "trainer.max_epochs=1", "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    model, data = trainer.load("run"), ready(image_dir)
    files = [data.files[number] for number in data.splits["test"].inputs]
    predictions = model.predict(files)
    inputs = torch.cat([inputs for inputs, _ in data.test_dataloader()])
    with torch.no_grad():
        expected = model.net(inputs).softmax(1)
    torch.testing.assert_close(
        torch.tensor([[*prediction.probabilities.values()] for prediction in predictions]), expected
    )
    accuracy = sum(prediction.label == Path(prediction.source).parent.name for prediction in predictions) / len(
        predictions
    )
    result = json.loads(Path("run/result.json").read_text())
    assert result["metrics"]["test/accuracy"] == pytest.approx(accuracy)
    assert result["data_sha256"] == data.checksum()
    assert {*multiprocessing.active_children()} <= others


@pytest.mark.parametrize("workers", [0, 2])
def test_corrupted_images_are_one_error_with_their_names(image_dir, command, workers):
    others = {*multiprocessing.active_children()}  # of other tests
    for file in image_dir.glob("cat/*.png"):
        file.write_bytes(b"no image at all")
    outcome = command(*TINY, f"data.workers={workers}", "trainer.max_epochs=1")
    assert outcome.code == 1
    assert "Traceback" not in outcome.err + outcome.out
    files = "".join(rf"  my/cat/{number:02}.png: not an image \(PNG, .*\)\n" for number in range(10))
    message = rf"error: data.path: 10 of 30 image files cannot be read:\n{files}  replace .*data.broken=skip\n"
    assert re.fullmatch(rf"(\n|stopping.*)*{message}", outcome.err)
    assert {*multiprocessing.active_children()} <= others


def test_a_corrected_directory_is_read_again(command, tmp_path):
    (tmp_path / "my").mkdir()
    overrides = [*TINY, "trainer.max_epochs=1", "data.workers=0"]
    assert "no class directories in 'my'" in command(*overrides).err
    write_images(tmp_path / "my", 5)
    assert command(*overrides).code == 0
