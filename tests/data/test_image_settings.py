"""Settings that are inferred from images, unreadable images, and decoded images in memory."""

import logging

import pytest
import torch
from PIL import Image
from pytorch_lightning import Trainer

from trainer.core.errors import UserError
from trainer.data.image_folder import ImageFolder
from trainer.data.loading import image_cache
from trainer.data.loading.prefetch import prefetch_batches
from trainer.data.preprocessing.images import ImagePreprocessing


@pytest.fixture
def image_dir(tmp_path):
    """Write ten images in each of two classes: 12 x 10 pixels and, for one, 40 x 30."""
    random = torch.Generator().manual_seed(0)
    for name in ("bee", "cat"):
        (tmp_path / name).mkdir()
        for index in range(10):
            pixels = torch.randint(256, (30, 40, 3) if index == 3 else (10, 12, 3), generator=random)
            Image.fromarray(pixels.byte().numpy()).save(tmp_path / name / f"{index}.png")
    return tmp_path


def ready(path, **settings):
    data = ImageFolder(path=str(path), **{"batch_size": 4, "workers": 0} | settings)
    data.setup("fit")
    return data


def truncate(file):
    """Cut the compressed pixels of an image; its header is valid."""
    file.write_bytes(file.read_bytes()[:80])


def test_size_and_channels_are_inferred_from_the_files(image_dir):
    data = ImageFolder(path=str(image_dir))
    assert (data.spec.shape, data.inferred_settings) == ((3, 10, 10), {"size": 10, "channels": 3})
    data = ImageFolder(path=str(image_dir), size=8)
    assert (data.spec.shape, data.inferred_settings) == ((3, 8, 8), {"channels": 3})
    for file in image_dir.rglob("*.png"):
        Image.open(file).convert("L").resize((100, 200)).save(file)
    data = ImageFolder(path=str(image_dir))
    assert (data.spec.shape, data.inferred_settings) == ((1, 64, 64), {"size": 64, "channels": 1})
    assert ImageFolder(path=str(image_dir), size=8, channels=3).inferred_settings == {}


def test_the_inferred_settings_give_the_same_data(image_dir):
    data = ready(image_dir)
    again = ready(image_dir, **data.inferred_settings)
    assert (data.spec, data.checksum()) == (again.spec, again.checksum())


def test_synthetic_images_have_a_default_size():
    assert ImageFolder(path="no", synthetic=True).spec.shape == (3, 64, 64)


def test_classes_splits_and_inferred_settings_are_logged_in_one_line(image_dir, caplog):
    with caplog.at_level(logging.INFO):
        ready(image_dir)
    assert caplog.messages == [
        "images 20 in 2 classes: bee 10, cat 10; train 12, val 4, test 4; inferred size 10; inferred channels 3; "
        "kept in memory"
    ]


def test_all_unreadable_images_are_one_error_before_the_training(image_dir):
    (image_dir / "bee/1.png").write_text("no image")
    truncate(image_dir / "cat/2.png")
    with pytest.raises(UserError) as error:
        ready(image_dir)
    first, *others, last = str(error.value).splitlines()
    assert first == "data.path: 2 of 20 image files cannot be read:"
    assert others[0] == f"  {image_dir}/bee/1.png: not an image (PNG, JPEG, BMP, GIF, TIFF, WebP)"
    assert others[1].startswith(f"  {image_dir}/cat/2.png: an image that cannot be read: ")
    assert last == "  replace or remove them; to leave them out: data.broken=skip"


def test_a_truncated_image_of_any_split_is_an_error_before_the_first_step(image_dir):
    data = ready(image_dir)
    for index in data.splits["test"].inputs.tolist():
        truncate(image_dir / data.files[index])
    data = ImageFolder(path=str(image_dir), workers=0)
    data.trainer = Trainer(logger=False, accelerator="cpu", barebones=True)
    data.trainer.state.fn = "fit"
    with pytest.raises(UserError, match=r"^data.path: 4 of 20 image files cannot be read:"):
        data.setup("fit")


def test_at_most_twenty_unreadable_images_are_listed(image_dir):
    for number in range(25):
        (image_dir / f"bee/x{number}.jpg").touch()
    with pytest.raises(UserError) as error:
        ready(image_dir)
    lines = str(error.value).splitlines()
    assert (len(lines), lines[21]) == (23, "  and 5 more")


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_images_are_left_out_on_request(image_dir, caplog, workers):
    expected = ready(image_dir)
    (image_dir / "bee/broken.png").write_text("no image")
    Image.open(image_dir / "cat/1.png").save(image_dir / "cat/broken.png")
    truncate(image_dir / "cat/broken.png")
    data = ready(image_dir, broken="skip", workers=workers)
    assert data.checksum() == expected.checksum()
    assert [split.inputs.tolist() for split in data.splits.values()] == [
        split.inputs.tolist() for split in expected.splits.values()
    ]
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("2 of 22 image files cannot be read and are left out:\n")


def test_a_class_without_readable_images_is_an_error(image_dir):
    for file in image_dir.glob("bee/*"):
        file.write_text("no image")
    with pytest.raises(UserError, match=r"^data.path: class 'bee' has no training images; "):
        ready(image_dir, broken="skip")


def test_a_class_with_too_few_images_is_named(image_dir):
    for index in range(1, 10):
        (image_dir / f"bee/{index}.png").unlink()
    with pytest.raises(UserError, match=r"one class has only 1 examples.*leave out 'bee' by data.classes"):
        ready(image_dir)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_cache_gives_the_same_numbers_and_reads_each_file_once(image_dir, monkeypatch, workers):
    settings = {"augmentation": ["flip", {"affine": {"degrees": 10.0}}], "workers": workers}
    without = ready(image_dir, cache=False, **settings).train_dataloader()
    expected = [batch for _ in range(2) for batch in without]
    cached = ready(image_dir, cache=True, **settings)
    loader = cached.train_dataloader()
    batches = [*loader]
    monkeypatch.setattr(ImagePreprocessing, "read_image", None)  # reading fails
    batches += [*loader]
    for batch, expected_batch in zip(batches, expected, strict=True):
        assert all(torch.equal(*pair) for pair in zip(batch, expected_batch, strict=True))


def test_images_that_take_too_much_memory_are_read_in_each_epoch(image_dir, monkeypatch, caplog):
    monkeypatch.setattr(image_cache, "available_memory_bytes", lambda: 4 * 20 * 3 * 10 * 10)
    assert ready(image_dir).image_cache is not None
    monkeypatch.setattr(image_cache, "available_memory_bytes", lambda: 4 * 20 * 3 * 10 * 10 - 4)
    with caplog.at_level(logging.INFO):
        assert ready(image_dir).image_cache is None
        assert ready(image_dir, cache=True).image_cache is not None
    assert caplog.messages[0].startswith("images are read again in each epoch: decoded 0 MiB")


def test_workers_check_the_files(image_dir, monkeypatch):
    calls = []
    monkeypatch.setattr("trainer.data.loading.unreadable_images.FILES_PER_BATCH", 8)

    def count(*args, **options):
        calls.append(options["workers"])
        return prefetch_batches(*args, **options)

    monkeypatch.setattr("trainer.data.loading.unreadable_images.prefetch_batches", count)
    (image_dir / "cat/9.png").write_text("no image")
    with pytest.raises(UserError, match=r"1 of 20 .*\n  .*/cat/9.png: not an image"):
        ready(image_dir, workers=2)
    assert calls == [2, 2]
