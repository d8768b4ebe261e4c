"""Conversion of image files to stored inputs, and errors for other files."""

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from trainer.core.errors import UserError
from trainer.data.cifar10 import PREPROCESSING as CIFAR10
from trainer.data.digits import Digits
from trainer.data.io.images.image_files import iter_image_files
from trainer.data.mnist import MEAN, PREPROCESSING, STD
from trainer.data.preprocessing.base import restore_preprocessing
from trainer.data.preprocessing.images import ImagePreprocessing

COLOR = ImagePreprocessing((3, 4, 4), 0.0, 1.0)
GRAY = ImagePreprocessing((1, 4, 4), 0.0, 1.0)


def save(pixels, file, **settings):
    Image.fromarray(np.asarray(pixels, np.uint8), **settings).save(file)
    return file


@pytest.fixture
def random():
    return np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)


def test_a_png_of_the_same_size_keeps_every_pixel(random, tmp_path):
    assert torch.equal(COLOR.read_image(save(random, tmp_path / "a.png")), torch.from_numpy(random).permute(2, 0, 1))
    assert GRAY.read_image(save(random[..., 0], tmp_path / "b.png"))[0].tolist() == random[..., 0].tolist()


def test_gray_becomes_three_equal_colors_and_colors_become_their_brightness(random, tmp_path):
    gray = COLOR.read_image(save(random[..., 0], tmp_path / "grey.png"))
    assert gray.tolist() == [random[..., 0].tolist()] * 3
    green = GRAY.read_image(save([[[0, 255, 0]] * 4] * 4, tmp_path / "green.png"))
    assert green.unique().tolist() == [150]  # 0.587 of 255


def test_the_range_is_that_of_the_training(tmp_path):
    file = save(np.arange(64).reshape(8, 8) * 4, tmp_path / "a.png")
    stored = Digits.preprocessing.read_image(file)
    assert (stored.min().item(), stored.max().item()) == (0, 16)
    levels = save((np.arange(64).reshape(8, 8) % 17 * 255 / 16).round(), tmp_path / "levels.png")
    assert Digits.preprocessing.read_image(levels).flatten().tolist() == [level % 17 for level in range(64)]


def test_another_size_is_resized(tmp_path):
    assert GRAY.read_image(save(np.full((40, 40), 7), tmp_path / "a.png")).tolist() == [[[7] * 4] * 4]


def test_other_proportions_are_an_error_unless_fit_is_set(tmp_path):
    wide = np.zeros((4, 8))
    wide[:, 2:6] = 200
    file = save(wide, tmp_path / "wide.png")
    message = r"wide.png: 8x4 pixels, but the network takes 4x4, with other proportions; "
    with pytest.raises(UserError, match=message + r"choose how to fit it: --fit crop, pad or stretch$"):
        GRAY.read_image(file)
    crop, pad, stretch = (
        ImagePreprocessing((1, 4, 4), 0.0, 1.0, fit=fit).read_image(file) for fit in ("crop", "pad", "stretch")
    )
    assert crop.unique().tolist() == [200]
    assert pad[0, 0].tolist() == [0] * 4
    assert stretch[0, 0, 0] < 100 < stretch[0, 0, 1]


def test_inverted_images_are_padded_with_black(tmp_path):
    file = save(np.full((4, 8), 255), tmp_path / "paper.png")
    assert ImagePreprocessing((1, 4, 4), 0.0, 1.0, fit="pad", invert=True).read_image(file).unique().tolist() == [0]


def test_sixteen_bits_are_scaled(tmp_path):
    Image.fromarray(np.full((4, 4), 32896, np.uint16)).save(tmp_path / "deep.png")
    assert GRAY.read_image(tmp_path / "deep.png").unique().tolist() == [128]


def test_a_photograph_is_rotated_by_its_exif_orientation(tmp_path):
    half = np.zeros((4, 4))
    half[:, 2:] = 255  # right
    exif = Image.Exif()
    exif[0x0112] = 3  # by 180 degrees
    Image.fromarray(half.astype(np.uint8)).save(tmp_path / "a.png", exif=exif)
    assert GRAY.read_image(tmp_path / "a.png")[0, 0].tolist() == [255, 255, 0, 0]


def test_transparent_pixels_are_composited_on_white(random, tmp_path):
    alpha = random[..., :1]
    Image.fromarray(np.concatenate([random, alpha], 2)).save(tmp_path / "a.png")
    expected = np.round((random.astype(float) * alpha + 255.0 * (255 - alpha)) / 255)
    np.testing.assert_allclose(COLOR.read_image(tmp_path / "a.png").permute(1, 2, 0), expected, atol=1)
    palette = Image.new("P", (4, 4))
    palette.putpalette([9, 9, 9])
    palette.save(tmp_path / "b.png", transparency=0)
    assert COLOR.read_image(tmp_path / "b.png").unique().tolist() == [255]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif"])
def test_the_first_image_of_an_animation_is_read(tmp_path, name):
    frames = [Image.new("RGB", (4, 4), color) for color in ("black", "red", "blue")]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    assert COLOR.read_image(tmp_path / name).unique().tolist() == [0]


def test_inks_of_cmyk_become_colors(tmp_path):
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    assert COLOR.read_image(tmp_path / "a.tif")[:, 0, 0].tolist() == [255, 0, 0]


def test_an_image_of_too_many_pixels_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2_000_000)
    Image.new("1", (1500, 1500)).save(tmp_path / "a.png")  # up to twice the limit, Pillow only warns
    Image.new("1", (3000, 3000)).save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        with pytest.raises(UserError, match=f"{name}: an image of more than 2 million pixels; reduce its size$"):
            GRAY.read_image(tmp_path / name)


def test_predictions_read_the_same_files_of_a_directory_as_training(tmp_path):
    for name in ("1.jfif", "2.ppm", "3", "notes.png/4.png", "deep/er/5.JPG"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name, "PPM" if name.endswith("ppm") else "PNG")
    (tmp_path / "deep/6").write_text("no image")
    [part] = COLOR.read([tmp_path], 100)
    expected = sorted(iter_image_files(tmp_path, Counter()))
    assert part.sources == expected
    assert len(expected) == 5


def test_a_directory_is_read_in_the_order_of_names(tmp_path):
    for name, level in (("b.png", 2), ("a.JPG", 1), ("c.jpeg", 3)):
        save(np.full((4, 4), level * 50), tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    parts = [*GRAY.read([tmp_path], 2)]
    assert [len(part.inputs) for part in parts] == [2, 1]
    assert [source[-6:] for part in parts for source in part.sources] == ["/a.JPG", "/b.png", "c.jpeg"]
    assert torch.cat([part.inputs for part in parts])[:, 0, 0, 0].tolist() == [50, 100, 150]


def corrupt(path):
    save(np.zeros((64, 64, 3)), path)
    path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("text"), "a.png: not an image"),
        (lambda path: path.write_bytes(b""), "a.png: not an image"),
        (corrupt, "a.png: an image that cannot be read"),
        (lambda path: None, "a.png: no such file"),
        (lambda path: path.mkdir(), "a.png: no files ending in .png or"),
        (lambda path: Image.new("F", (4, 4)).save(path, "TIFF"), "a.png: its pixels do not have 8 or 16 bits"),
    ],
)
def test_invalid_files_are_errors(make, message, tmp_path):
    make(tmp_path / "a.png")
    with pytest.raises(UserError, match=message):
        [*GRAY.read([tmp_path / "a.png"], 2)]


def test_bytes_become_standardized_numbers():
    levels = torch.arange(256, dtype=torch.uint8)
    expected = levels.float().sub_(255 * MEAN).mul_(1 / (255 * STD))
    assert torch.equal(PREPROCESSING.prepare(levels), expected)
    assert torch.equal(Digits.preprocessing.prepare(levels[:17]), levels[:17] / 16.0)


def test_restored_preprocessing_prepares_the_same_numbers(tmp_path):
    torch.save(CIFAR10.state(), tmp_path / "state.pt")
    restored = restore_preprocessing(torch.load(tmp_path / "state.pt", weights_only=True))
    inputs = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(restored.prepare(inputs), CIFAR10.prepare(inputs))
    assert "fit" not in CIFAR10.state()


def test_the_value_range_is_that_of_prepared_inputs():
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ([10.0, 20.0, 30.0], [2.0, 4.0, 5.0]))
    preprocessing = ImagePreprocessing((3, 1, 1), mean, std, max_value=40)
    assert preprocessing.value_range == (-6.0, 15.0)
    assert preprocessing.prepare(torch.zeros(1, 3, 1, 1)).min() == -6
    assert ImagePreprocessing((1, 1, 1), 0.0, 16.0, max_value=16).value_range == (0.0, 1.0)
