"""The setting `data.augmentation`: names, options, errors, and batches that depend on seed, epoch and example alone."""

import numpy as np
import pytest
import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.arrays import Arrays
from trainer.data.augmentation.augmentation import STEPS, parse_augmentation
from trainer.data.digits import Digits

ALL = [*STEPS]


def ready(entries, **settings):
    data = Digits(augmentation=entries, val_size=800, test_size=800, batch_size=20, **settings)
    data.setup("fit")
    return data


def are_equal(first, second):
    return len(first) == len(second) and all(
        torch.equal(*pair) for batches in zip(first, second, strict=True) for pair in zip(*batches, strict=True)
    )


@pytest.mark.parametrize("name", ALL)
def test_batches_depend_on_seed_and_epoch_alone(name):
    entries = [{"affine": {"degrees": 9.0}} if name == "affine" else name]
    state = torch.get_rng_state()
    loader = ready(entries, seed=1).train_dataloader()
    epochs = [[*loader], [*loader]]
    assert torch.equal(torch.get_rng_state(), state)
    assert epochs[0][0][1].dtype == (torch.float32 if name in ("mixup", "cutmix") else torch.int64)
    torch.rand(3)
    resumed = ready(entries, seed=1).train_dataloader()
    resumed.load_state_dict({"epoch": 1, "position": 5})
    assert are_equal([*resumed], epochs[1][5:])
    assert not are_equal([next(iter(ready(entries, seed=2).train_dataloader()))], epochs[0][:1])
    plain = ready([], seed=1).train_dataloader()
    assert not torch.equal(next(iter(plain))[0], epochs[0][0][0])


def test_validation_and_test_are_not_changed():
    data, plain = ready(["flip", "cutout", "mixup"]), ready([])
    for name in ("val_dataloader", "test_dataloader"):
        assert are_equal([*getattr(data, name)()], [*getattr(plain, name)()])


def test_the_order_of_the_list_is_that_of_the_changes():
    first, second = (ready(entries).train_dataloader() for entries in (["crop", "cutout"], ["cutout", "crop"]))
    assert not torch.equal(next(iter(first))[0], next(iter(second))[0])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("flip", "expected a list, found 'flip'"),
        (["flop"], "no augmentation 'flop'; did you mean 'flip'"),
        ([3], "3 is no augmentation; expected a name"),
        ([{"flip": {}, "crop": {}}], "{'flip': {}, 'crop': {}} is no augmentation; expected a name"),
        ([{"crop": {"paddin": 4}}], "crop has no option 'paddin'; did you mean 'padding'"),
        ([{"flip": {"p": 1}}], "flip has no option 'p'; it has no options"),
        ([{"mixup": 3}], "mixup: expected options {alpha}, found 3"),
        ([{"mixup": {"alpha": 0}}], "mixup.alpha: 0 is not valid; expected greater than 0"),
        ([{"crop": {"padding": 2.5}}], "crop.padding: 2.5 is not valid; expected a valid integer"),
        ([{"crop": {"padding_mode": "edge"}}], "crop.padding_mode: 'edge' is not valid; expected 'constant' or 'ref"),
    ],
)
def test_an_invalid_setting_is_an_error(setting, message):
    with pytest.raises(UserError) as error:
        parse_augmentation(setting)
    assert str(error.value).startswith(f"data.augmentation: {message}")


IMAGES = DataSpec("my", "image", (1, 8, 8), "classification", 10)


@pytest.mark.parametrize(
    ("entry", "spec", "message"),
    [
        ("flip", DataSpec("my", "vector", (8,), "classification", 10), "needs images; data 'my' has inputs of kind v"),
        (
            "mixup",
            DataSpec("my", "image", (1, 8, 8), "regression", 2),
            "mixup and cutmix need classes; data 'my' has v",
        ),
        ({"crop": {"padding": 8, "padding_mode": "reflect"}}, IMAGES, "crop.padding: 8 is too large for"),
        ("color_jitter", DataSpec("my", "image", (4, 8, 8), "classification", 10), "colors need 1 or 3 channels"),
    ],
)
def test_an_augmentation_that_does_not_fit_the_data_is_an_error(entry, spec, message):
    with pytest.raises(UserError) as error:
        parse_augmentation([entry]).validate(spec)
    assert str(error.value).startswith(f"data.augmentation: {message}")


@pytest.mark.parametrize("kind", ["image", "vector"])
def test_arrays_of_images_are_augmented(tmp_path, kind):
    pixels = np.random.default_rng(0).random((20, 6, 6, 3), np.float32)
    np.savez(tmp_path / "my.npz", x=pixels, y=np.arange(20) % 2)
    data = Arrays(path=str(tmp_path / "my.npz"), kind=kind, augmentation=["flip", "crop", "mixup"])
    if kind == "vector":
        with pytest.raises(UserError, match=r"data\.augmentation: needs images"):
            data.setup("fit")
        return
    data.setup("fit")
    inputs, targets = next(iter(data.train_dataloader()))
    assert inputs.shape[1:] == (3, 6, 6)
    assert targets.dtype == torch.float32
    assert ((targets > 0) & (targets < 1)).any()
