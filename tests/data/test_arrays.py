"""Vectors, images and sequences in array files."""

import gzip
import struct

import numpy as np
import pytest
import torch

from trainer.core.errors import UserError
from trainer.data.arrays import Arrays
from trainer.data.preprocessing.base import restore_preprocessing

RANDOM = np.random.default_rng(0)
LABELS = np.arange(30) % 3
BYTES = RANDOM.integers(0, 256, (30, 4, 5), np.uint8)


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Return a function that saves arrays in `my.npz` and loads them."""
    monkeypatch.chdir(tmp_path)

    def load(arrays, **settings):
        np.savez("my.npz", **arrays)
        data = Arrays(**{"path": "my.npz", "batch_size": 4} | settings)
        data.setup("fit")
        return data

    return load


@pytest.mark.parametrize(
    ("inputs", "kind", "shape"),
    [
        (np.zeros(30), "vector", (1,)),
        (np.zeros((30, 7)), "vector", (7,)),
        (BYTES, "image", (1, 4, 5)),
        (BYTES.astype(np.float32), "sequence", (4, 5)),
        (np.zeros((30, 6, 8, 3), np.uint8), "image", (3, 6, 8)),
        (np.zeros((30, 3, 6, 8), np.float32), "image", (3, 6, 8)),
        (np.zeros((30, 6, 8, 1)), "image", (1, 6, 8)),
    ],
)
def test_the_kind_follows_from_shape_and_type(make, inputs, kind, shape):
    data = make({"x": inputs, "y": LABELS})
    assert (data.spec.kind, data.spec.shape) == (kind, shape)
    assert data.inferred_settings == {"kind": kind, "task": "classification"}
    batch, targets = next(iter(data.train_dataloader()))
    assert (batch.dtype, batch.shape, targets.dtype) == (torch.float32, (4, *shape), torch.int64)


def test_the_kind_can_be_set(make):
    data = make({"x": BYTES.astype(float), "y": LABELS}, kind="image")
    assert (data.spec.kind, data.spec.shape, data.inferred_settings) == ("image", (1, 4, 5), {"task": "classification"})
    assert make({"x": BYTES, "y": LABELS}, kind="vector").spec.shape == (20,)


def test_channels_in_the_last_axis_are_moved(make):
    images = RANDOM.integers(0, 256, (30, 6, 8, 3), np.uint8)
    data = make({"x": images, "y": LABELS, "x_test": images[:2], "y_test": LABELS[:2]})
    assert torch.equal(data.splits["test"].inputs, torch.from_numpy(images[:2]).permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (LABELS * 5 - 5, ("-5", "0", "5")),
        (np.array(["no", "yes"])[LABELS % 2], ("no", "yes")),
        (LABELS[:, None] > 0, ("False", "True")),
        (np.array([b"a", b"b"])[LABELS % 2], ("a", "b")),
    ],
)
def test_integers_and_texts_are_classes(make, labels, names):
    data = make({"x": np.zeros((30, 2)), "y": labels, "x_test": np.zeros((30, 2)), "y_test": labels})
    assert data.spec.class_names == names
    values = labels.ravel()[:3].tolist()
    names_by_value = {value: index for index, value in enumerate(np.unique(labels).tolist())}
    assert data.splits["test"].targets[:3].tolist() == [names_by_value[value] for value in values]


def test_floating_point_targets_are_values(make):
    values = RANDOM.normal(size=(30, 2))
    data = make({"x": np.zeros((30, 2)), "y": values, "x_test": np.zeros((30, 2)), "y_test": values})
    assert (data.spec.target, data.spec.output_size) == ("regression", 2)
    np.testing.assert_array_equal(data.splits["test"].targets, values)
    assert make({"x": np.zeros((30, 2)), "y": LABELS}, task="regression").spec.output_size == 1
    assert make({"x": np.zeros((30, 2)), "y": LABELS / 2}, task="classification").spec.class_names == ("0", "0.5", "1")


@pytest.mark.parametrize(
    "names", [("X", "Y"), ("images", "labels"), ("train_data", "train_target"), ("arr_0", "arr_1")]
)
def test_arrays_with_other_usual_names_are_found(make, names):
    data = make(dict(zip(names, (np.ones((30, 2)), LABELS), strict=True)))
    found = [name.removeprefix("train_") for name in names]
    assert [data.inferred_settings[key] for key in ("x", "y")] == found


@pytest.mark.parametrize(
    ("targets", "advice"),
    [(LABELS.astype(float), "data.task=classification"), (np.eye(3)[LABELS], "save y.argmax(1) of one-hot labels")],
)
def test_floating_point_numbers_that_may_be_classes_need_a_task(make, targets, advice):
    with pytest.raises(UserError) as error:
        make({"x": np.ones((30, 2)), "y": targets})
    assert str(error.value).startswith("data.task: my.npz, array 'y' contains only whole numbers such as ")
    assert f"if they are classes: {advice}; if they are values: data.task=regression" in str(error.value)
    assert make({"x": np.ones((30, 2)), "y": targets}, task="regression").spec.target == "regression"


def test_a_path_and_files_of_images_are_an_error(tmp_path):
    np.save(tmp_path / "x.npy", BYTES)
    np.save(tmp_path / "y.npy", LABELS)
    files = {"images": "x.npy", "labels": "y.npy"}
    with pytest.raises(UserError, match=r"^data.path: data.images and data.labels are set too"):
        Arrays(dir=str(tmp_path), path="my.npz", **files)
    with pytest.raises(
        UserError, match=r"^data.path: '.*x.npy' contains one array; expected an .npz file, or one file"
    ):
        Arrays(dir=str(tmp_path), path="x.npy")


@pytest.mark.parametrize(
    ("names", "settings"),
    [
        (["x_train", "y_train", "x_test", "y_test"], {}),
        (["train_images", "train_labels", "test_images", "test_labels"], {"x": "images", "y": "labels"}),
    ],
)
def test_one_file_contains_several_splits(make, names, settings):
    inputs = np.arange(30.0)[:, None]
    arrays = dict(zip(names, (inputs, LABELS, inputs[:7], LABELS[:7]), strict=True))
    data = make(arrays, standardize=False, **settings)
    assert {stage: len(split.targets) for stage, split in data.splits.items()} == {"train": 24, "test": 7, "val": 6}
    assert data.splits["test"].inputs[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_splits_are_in_other_files(make):
    np.savez("test.npz", x=np.zeros((5, 2)), y=LABELS[:5])
    data = make({"x": np.zeros((30, 2)), "y": LABELS}, test_path="test.npz", val_path="test.npz")
    assert [len(data.splits[stage].targets) for stage in ("train", "val", "test")] == [30, 5, 5]


def test_idx_and_npy_files_contain_one_array_each(tmp_path):
    content = struct.pack(">HBB3I", 0, 8, 3, *BYTES.shape) + BYTES.tobytes()
    (tmp_path / "images.gz").write_bytes(gzip.compress(content))
    np.save(tmp_path / "labels.npy", LABELS)
    settings = {"images": "images.gz", "labels": "labels.npy"}
    data = Arrays(dir=str(tmp_path), **settings, test_images="images.gz", test_labels="labels.npy")
    data.setup("fit")
    np.testing.assert_array_equal(data.splits["test"].inputs[:, 0], BYTES)


def test_inputs_are_standardized_by_the_training_examples(make):
    inputs = np.stack([np.arange(30.0), np.full(30, 7.0)], 1)
    data = make({"x": inputs, "y": LABELS})
    prepared = data.prepare(data.splits["train"].inputs)
    assert prepared.mean(0).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert prepared.std(0, correction=0).tolist() == pytest.approx([1, 0])
    images = make({"x": np.stack([BYTES] * 2, 1), "y": LABELS}, kind="image")  # two channels
    prepared = images.prepare(images.splits["train"].inputs)
    assert prepared.mean((0, 2, 3)).tolist() == pytest.approx([0, 0], abs=1e-5)
    assert prepared.std((0, 2, 3), correction=0).tolist() == pytest.approx([1, 1])
    unchanged = make({"x": BYTES, "y": LABELS}, standardize=False)
    assert torch.equal(unchanged.prepare(unchanged.splits["val"].inputs), unchanged.splits["val"].inputs.float())


def test_array_files_are_read_for_predictions(make, tmp_path):
    inputs = RANDOM.normal(size=(30, 4, 2))
    data = make({"x": inputs, "y": LABELS})
    restored = restore_preprocessing(data.preprocessing.state())
    parts = [*restored.read([tmp_path], 20)]
    assert [row for part in parts for row in part.rows] == [*range(30)]
    np.testing.assert_array_equal(torch.cat([part.inputs for part in parts]), inputs)
    np.savez("other.npz", x=inputs[:, :3])
    with pytest.raises(UserError, match=r"other.npz, array 'x': examples of shape \(3, 2\), but the network ta"):
        [*restored.read([tmp_path / "other.npz"], 20)]


def test_image_files_are_read_for_predictions_of_bytes(make):
    preprocessing = make({"x": BYTES, "y": LABELS}).preprocessing
    assert (type(preprocessing).__name__, preprocessing.shape) == ("ImagePreprocessing", (1, 4, 5))


X = np.zeros((30, 2))


@pytest.mark.parametrize(
    ("arrays", "settings", "message"),
    [
        (
            {"x": np.array([{}] * 30, object), "y": LABELS},
            {},
            r"^data.path: my.npz, array 'x': contains Python objects",
        ),
        ({"x": X, "z": LABELS}, {}, r"^data.y: my.npz has no array 'y'; there are: x, z$"),
        ({"x": X, "y": LABELS[:9]}, {}, r"^data: my.npz, array 'x' has 30 examples, but .*'y' has 9; expected as many"),
        ({"x": X, "y": LABELS * 0}, {}, r"^data.y: my.npz, array 'y': all labels are equal; expected two or more"),
        ({"x": X, "y": np.arange(30)}, {}, r"every label is different; if they are numbers: data.task=regression$"),
        ({"x": X, "y": np.eye(30)}, {"task": "classification"}, r"expected one label per example: save y.argmax\(1\)"),
        ({"x": X, "y": LABELS.astype(str)}, {"task": "regression"}, r"^data.y: .*: expected numbers, found type <U"),
        ({"x": X.astype(str), "y": LABELS}, {}, r"^data.x: my.npz, array 'x': expected numbers, found type <U"),
        ({"x": X[:0], "y": LABELS[:0]}, {}, r"^data.x: my.npz, array 'x': is empty; its shape is \(0, 2\)$"),
        ({"x": np.where(X == 0, np.nan, 0), "y": LABELS}, {}, r"'x': example 0 \(counted from 0\) contains NaN or inf"),
        (
            {"x": np.zeros((30, 1, 1, 1, 1)), "y": LABELS},
            {},
            r"^data.kind: .*'x' has 5 axes; expected 1 to 4, or data.",
        ),
        (
            {"x": X, "y": LABELS},
            {"kind": "image"},
            r"^data.kind: .*has shape \(30, 2\), which are no examples of kind im",
        ),
        ({"x": X, "y": LABELS, "x_test": X[:, :1], "y_test": LABELS}, {}, r"'x_test' has shape \(30, 1\), but my.npz"),
        (
            {"x": X, "y": LABELS, "x_test": X, "y_test": LABELS + 1},
            {},
            r"label 3 of example 2 does not occur in the tra",
        ),
        ({"x": X, "y": LABELS, "x_test": X}, {}, r"^data.y: my.npz has no array 'y_test'; did you mean 'x_test'"),
        ({"x": X, "y": LABELS}, {"path": None}, r"^data.path: no value given; expected an .npz file, or data.images"),
        ({"x": X, "y": LABELS}, {"images": "my.npz"}, r"^data.images: 'my.npz' is an .npz file; set data.path=my.npz$"),
        ({"x": X, "y": LABELS}, {"path": "no.npz"}, r"^data.path: no file 'no.npz'$"),
    ],
)
def test_an_invalid_file_is_one_error(make, arrays, settings, message):
    with pytest.raises(UserError, match=message):
        make(arrays, **settings)


def test_another_file_is_an_error(tmp_path):
    (tmp_path / "my.npz").write_text("no array")
    with pytest.raises(UserError, match=r"^data.path: .*my.npz: expected an .npz, .npy or IDX file: "):
        Arrays(path="my.npz", dir=str(tmp_path))
