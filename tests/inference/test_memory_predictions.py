"""Predictions for examples in memory equal those for files with the same content."""

import numpy as np
import pytest
import torch
from PIL import Image

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.preprocessing.arrays import ArrayPreprocessing
from trainer.data.preprocessing.images import ImagePreprocessing
from trainer.data.preprocessing.tabular import make_passthrough, make_preprocessing
from trainer.data.tabular.columns import Column
from trainer.inference.load_checkpoint import LoadedCheckpoint
from trainer.inference.predictor import Predictor
from trainer.model.linear import Linear

OBJECTIVE = {"_target_": "trainer.task.objective.make_objective", "_partial_": True}
GRAY = ImagePreprocessing((1, 6, 6), 100.0, 50.0)
COLOR = ImagePreprocessing((3, 6, 6), 100.0, 50.0, fit="stretch")
NAMED = make_preprocessing(
    [Column(0, "age", "number"), Column(2, "mass", "number")], width=4, names=("age", "x", "mass", "y")
)


def untrained(preprocessing, tmp_path, kind="vector", shape=(2,)):
    """Return a predictor with random weights."""
    torch.manual_seed(1)
    spec = DataSpec("mine", kind, shape, "classification", 1, ("no", "yes"))
    config = {"objective": OBJECTIVE}
    return Predictor(LoadedCheckpoint(tmp_path / "a.ckpt", Linear(spec).eval(), spec, preprocessing, config, {}, {}))


def numbers(predictions):
    return [prediction.probabilities["yes"] for prediction in predictions]


@pytest.mark.parametrize("preprocessing", [GRAY, COLOR])
def test_images_and_their_pixels_are_read_as_their_files(preprocessing, tmp_path):
    model = untrained(preprocessing, tmp_path, "image", preprocessing.shape)
    pixels = np.random.default_rng(1).integers(0, 256, (3, 6, 6, 3), np.uint8)
    pixels = pixels[..., 0] if preprocessing is GRAY else pixels
    images = [Image.fromarray(image) for image in pixels]
    files = [tmp_path / f"{index}.png" for index in range(3)]
    for image, file in zip(images, files, strict=True):
        image.save(file)
    expected = numbers(model.predict(files))
    for inputs in (images, [*pixels], pixels, pixels.astype(int), pixels / 255):
        assert numbers(model.predict(inputs, batch_size=2)) == pytest.approx(expected, abs=1e-6)
    assert numbers(model.predict(images[1])) == numbers(model.predict(pixels[1])) == expected[1:2]
    assert [(item.source, item.row) for item in model.predict(images, batch_size=2)] == [("", 0), ("", 1), ("", 2)]


def test_options_apply_to_images_in_memory(tmp_path):
    model = untrained(GRAY, tmp_path, "image", (1, 6, 6))
    wide = np.arange(128, dtype=np.uint8).reshape(8, 16)
    with pytest.raises(UserError, match=r"^image 0: 16x8 pixels, but the network takes 6x6, with other proportions"):
        model.predict(wide)
    assert len(model.predict(wide, fit="crop")) == 1
    square = np.arange(36, dtype=np.uint8).reshape(6, 6)
    assert numbers(model.predict(255 - square, invert=True)) == numbers(model.predict(square))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.full((6, 6), 256), "image 0: expected integers from 0 to 255, or floats from 0 to 1, found 256 to 256"),
        (np.full((6, 6), 1.5), "image 0: expected integers from 0 to 255, or floats from 0 to 1, found 1.5 to 1.5"),
        (np.full((6, 6), np.nan), "image 0: expected integers from 0 to 255"),
        (np.zeros(4), "image 0: an array of shape .* is no image; expected images of Pillow, or arrays"),
        (np.zeros((6, 6), complex), "image 0: expected numbers, found type complex128"),
        ([np.zeros((6, 6)), "a.png"], "image 1: cannot use a value of type str; expected images of Pillow"),
        (
            ["a.png", np.zeros((6, 6))],
            "predict: cannot use a value of type ndarray among paths; expected paths or a list",
        ),
        (5, "image 0: cannot use a value of type int; expected images of Pillow"),
    ],
)
def test_what_is_no_image_is_refused(inputs, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
    with pytest.raises(UserError, match=f"^{message}"):
        untrained(GRAY, tmp_path, "image", (1, 6, 6)).predict(inputs)


def test_rows_are_read_as_their_file(tmp_path):
    pandas = pytest.importorskip("pandas")
    pyarrow = pytest.importorskip("pyarrow")
    model = untrained(NAMED, tmp_path)
    rows = [{"mass": 1, "age": 3.5, "more": "x"}, {"mass": 2, "age": -1.0}]
    (tmp_path / "a.csv").write_text("age,mass\n3.5,1\n-1,2\n")
    expected = numbers(model.predict(tmp_path / "a.csv"))
    frame = pandas.DataFrame(rows, index=["a", "b"])
    for inputs in (rows, frame, pyarrow.table(frame), np.array([[3.5, 1], [-1, 2]]), [[3.5, 1], [-1, 2]]):
        assert numbers(model.predict(inputs, batch_size=1)) == expected
    assert numbers(model.predict(rows[1])) == expected[1:]
    assert [(item.source, item.row) for item in model.predict(frame)] == [("", 0), ("", 1)]
    assert numbers(untrained(make_passthrough(2), tmp_path).predict(frame[["age", "mass"]])) == expected


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([{"age": 1, "masss": 2}], "rows in memory: no column 'mass'; did you mean 'masss'"),
        ([{"age": 1, "mass": "x"}], "rows in memory, row 0, column 'mass' has 'x', expected a number"),
        ([{"age": 1, "mass": [1]}], "rows in memory, row 0, column 'mass'"),
        ([{"age": 1, "mass": 1}, {"age": "a", "mass": 1}], "predict: cannot read the rows: "),
        (np.zeros((2, 3)), "predict: 3 columns, but the network takes 2"),
        (np.zeros(2), "predict: cannot use rows of type ndarray; expected a data frame, dictionaries"),
        (np.zeros((0, 2)), "predict: no rows"),
    ],
)
def test_an_invalid_row_is_refused(inputs, message, tmp_path):
    with pytest.raises(UserError, match=f"^{message}"):
        untrained(NAMED, tmp_path).predict(inputs)


def test_arrays_are_arranged_as_in_their_file(tmp_path):
    preprocessing = ArrayPreprocessing("vector", (6,), torch.tensor(1.0), torch.tensor(2.0), "x")
    model = untrained(preprocessing, tmp_path, shape=(6,))
    array = np.random.default_rng(1).normal(size=(5, 2, 3))
    np.save(tmp_path / "a.npy", array)
    expected = numbers(model.predict(tmp_path / "a.npy"))
    assert numbers(model.predict(array, batch_size=2)) == pytest.approx(expected)
    assert numbers(model.predict([*array])) == expected
    with pytest.raises(UserError, match=r"^predict: examples of shape \(5,\), but the network takes arrays \(examples"):
        model.predict(array.reshape(6, 5))
    array[3] = np.nan
    with pytest.raises(UserError, match=r"^predict: example 3 .* contains NaN"):
        model.predict(array)


def test_predictions_and_predictor_have_short_texts_and_a_data_frame(tmp_path):
    model = untrained(NAMED, tmp_path)
    predictions = model.predict([{"age": 0, "mass": 1}, {"age": 5, "mass": 2}])
    header, first, _ = repr(predictions).splitlines()
    assert header.split() == ["row", "class", "probability"]
    assert first.split() == ["0", predictions[0].label, f"{predictions[0].probability:.4g}"]
    assert predictions._repr_html_().count("<tr>") == 3
    pytest.importorskip("pandas")
    frame = predictions.to_frame()
    assert [*frame.columns] == ["row", "class", "p_no", "p_yes"]
    assert frame["p_yes"].tolist() == numbers(predictions)
    (tmp_path / "a.csv").write_text("age,mass\n3,1\n")
    assert [*model.predict(tmp_path / "a.csv").to_frame()] == ["source", "row", "age", "mass", "class", "p_no", "p_yes"]
    expected = "a.ckpt': Linear with 3 parameters; data mine: vector 2 -> classification (2 classes); classes: no, yes>"
    assert repr(model).endswith(expected)
