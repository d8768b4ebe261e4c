"""Comparison of `trainer predict` on the files of a test split with the outputs of the trained network."""

# `command` removes TRAINER_DATA_DIR, so the fixture of the data directory must be an argument in front of it

import csv
import gzip
import json
import shutil

import pytest
import torch
from hydra.utils import instantiate
from PIL import Image

import trainer
from trainer.data.imdb import FOLDER

pytestmark = [pytest.mark.real_data, pytest.mark.slow]

SHORT = ["trainer.max_epochs=1", "test=false", "callbacks=[fast_loop,checkpoint,progress]", "logger=none"]
FEW = ["+trainer.limit_train_batches=5", "+trainer.limit_val_batches=1"]


@pytest.fixture
def trained(command, tmp_path):
    """Return a function that trains briefly and returns the loaded checkpoint and the data set."""

    def train(*overrides):
        outcome = command(*SHORT, *overrides, "hydra.run.dir=trained")
        assert outcome.code == 0, outcome.err
        shutil.copy("trained/checkpoints/last.ckpt", "model.ckpt")
        shutil.rmtree("trained")
        model = trainer.load("model.ckpt")
        data = instantiate(model.config["data"])
        data.setup("test")
        return model, data

    return train


def compute_outputs(model, data, rows=slice(None)):
    """Return class names and scores (examples, classes) of test examples, or values (examples, 1)."""
    inputs = data.splits["test"].inputs[rows]
    with torch.no_grad():
        outputs = torch.cat([model.net(data.prepare(part)) for part in torch.split(inputs, data.eval_batch_size)])
    if model.spec.target == "regression":
        return outputs
    scores = model.objective.scores(outputs)
    names = [model.spec.class_names[number] for number in model.objective.predictions(outputs)]
    return names, torch.stack([1 - scores, scores], 1) if scores.dim() == 1 else scores


def read_predictions(file):
    """Return records, classes and probabilities in an output file of the command."""
    records = [json.loads(line) for line in file.read_text().splitlines()]
    return records, [r["class"] for r in records], torch.tensor([[*r["probabilities"].values()] for r in records])


def compare(command, model, data, files, rows=slice(None)):
    """Check that the command predicts the outputs of the network, and return its records."""
    names, scores = compute_outputs(model, data, rows)
    outcome = command("predict", "model.ckpt", *map(str, files), "--to=predictions.jsonl")
    assert outcome.code == 0, outcome.err
    records, classes, probabilities = read_predictions(outcome.directory / "predictions.jsonl")
    assert classes == names
    assert (probabilities - scores).abs().max() < 1e-5  # other batch sizes change the order of sums
    return records


def write_images(directory, inputs):
    """Write stored images as PNG files."""
    directory.mkdir()
    for number, pixels in enumerate(inputs):
        image = pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0)
        Image.fromarray(image.contiguous().numpy()).save(directory / f"{number:05}.png")


def test_digits(trained, command, tmp_path):
    model, data = trained("experiment=digits_cnn")
    write_images(tmp_path / "png", (data.splits["test"].inputs.float() * 255 / 16).round().byte())
    compare(command, model, data, ["png"])


def test_mnist(mnist_dir, trained, command, tmp_path):
    model, data = trained("experiment=mnist_cnn", f"data.dir={mnist_dir}", *FEW)
    write_images(tmp_path / "png", data.splits["test"].inputs)
    assert len(compare(command, model, data, ["png"])) == 10_000


@pytest.mark.parametrize("experiment", ["cifar10_cnn", "resnet_scratch"])
def test_cifar10(experiment, cifar10_dir, trained, command, tmp_path):
    model, data = trained(f"experiment={experiment}", f"data.dir={cifar10_dir}", *FEW)
    write_images(tmp_path / "png", data.splits["test"].inputs[:2000])
    compare(command, model, data, ["png"], slice(2000))


@pytest.mark.parametrize("experiment", ["imdb_lstm", "imdb_attention"])
def test_imdb(experiment, imdb_dir, trained, command):
    model, data = trained(f"experiment={experiment}", f"data.dir={imdb_dir}", *FEW)
    directory = imdb_dir / FOLDER / "test/pos"
    files = sorted(directory.glob("*.txt"), key=lambda file: int(file.name.partition("_")[0]))
    rows = slice(12_500, 12_500 + 500)  # the examples of the other class come first
    records = compare(command, model, data, files[:500], rows)
    assert records[0] | {"class": "", "probabilities": {}} == {
        "source": str(files[0]),
        "row": 1,
        "class": "",
        "probabilities": {},
    }


def test_diabetes(diabetes_dir, trained, command, tmp_path):
    model, data = trained("experiment=diabetes_mlp", f"data.dir={diabetes_dir}")
    with gzip.open(diabetes_dir / "diabetes/diabetes.csv.gz", "rt") as stream:
        lines = {tuple(map(float, row[:8])): row for row in csv.reader(stream)}
    rows = [lines[tuple(values)] for values in data.splits["test"].inputs.tolist()]
    for name, width in (("with_target.csv", 9), ("without.csv", 8)):
        (tmp_path / name).write_text("".join(",".join(row[:width]) + "\n" for row in rows))
        compare(command, model, data, [name])


@pytest.mark.parametrize("quantity", ["prices", "returns"])
@pytest.mark.parametrize("experiment", ["stock_lstm", "stock_attention"])
def test_stock(experiment, quantity, stocks_dir, trained, command):
    model, data = trained(f"experiment={experiment}", f"data.dir={stocks_dir}", f"data.quantity={quantity}")
    outcome = command(
        "predict", "model.ckpt", str(stocks_dir / "stocks/GOOG.csv"), "--to=predictions.csv", "--batch=100"
    )
    assert outcome.code == 0, outcome.err
    with open("predictions.csv") as stream:
        records = [*csv.DictReader(stream)]
    expected = data.to_prices("test", compute_outputs(model, data))[1]
    last_days = [data.series.days[row] for row in data.last_rows["test"]]
    records = records[-len(last_days) - 1 : -1]  # the last forecast is for the day after the end of the file
    assert [record["last_day"] for record in records] == last_days
    assert torch.tensor([float(record["value"]) for record in records]) == pytest.approx(
        expected.forecast.float(), rel=1e-6
    )
