"""Axes of the search spaces in `conf/hparams_search`."""

from pathlib import Path

import pytest

from trainer.config.compose import Composer
from trainer.sweeps.search.search import plan_search

DIRECTORY = Path(__file__).resolve().parents[2] / "conf/hparams_search"
CLASSIFIER = ["callbacks=[default,sample_quality]", "callbacks.sample_quality.classifier=run"]
SPACES = {
    "cifar10_cnn": {
        "optimizer.lr": "logarithmic 0.3 to 5",
        "optimizer.weight_decay": "logarithmic 0.0003 to 0.005",
        "optimizer.groups.norms.lr_factor": ("1", "8", "64"),
        "objective.label_smoothing": "real 0 to 0.3",
        "model.net.channels": ("[32,128,128]", "[48,192,192]", "[64,256,256]"),
    },
    "diabetes_mlp": {
        "optimizer.lr": "logarithmic 0.001 to 0.1",
        "optimizer.weight_decay": "logarithmic 0.01 to 5",
        "model.net.hidden": ("[8]", "[16]", "[32]", "[16,16]"),
        "model.net.dropout": "real 0 to 0.5",
    },
    "digits_cnn": {
        "optimizer.lr": "logarithmic 0.0003 to 0.1",
        "optimizer.weight_decay": "logarithmic 0.001 to 1",
        "model.net.dropout": "real 0 to 0.6",
        "model.net.channels": ("[16,32]", "[32,64]", "[64,128]"),
        "data.augmentation.0.affine.shift_pixels": "real 0 to 2",
    },
    "gan_mnist": {
        "optimizer.lr": "logarithmic 0.0001 to 0.002",
        "model.net.latent": ("16", "32", "64"),
        "model.net.dropout": "real 0 to 0.5",
        "model.net.temperature": "real 0.6 to 1",
        "model.label_smoothing": "real 0 to 0.2",
    },
    "imdb_lstm": {
        "optimizer.lr": "logarithmic 0.0005 to 0.01",
        "model.net.embedding": ("16", "32", "64"),
        "model.net.hidden": ("32", "64", "128"),
        "model.net.dropout": "real 0.1 to 0.6",
        "model.net.pooling": ("max", "mean"),
    },
    "line_mlp": {
        "optimizer": ("adam", "sgd"),
        "optimizer.lr": "logarithmic 0.001 to 0.3",
        "model.net.hidden": ("[5]", "[10]", "[20]", "[10,10]"),
        "data.batch_size": ("4", "16", "64"),
    },
    "mnist_cnn": {
        "optimizer.lr": "logarithmic 0.0005 to 0.02",
        "optimizer.weight_decay": "logarithmic 0.001 to 1",
        "model.net.dropout": "real 0 to 0.5",
        "data.augmentation.0.affine.shift_pixels": "real 0 to 3",
        "data.augmentation.0.affine.degrees": "real 0 to 20",
    },
    "resnet_transfer": {
        "optimizer.lr": "logarithmic 0.001 to 0.05",
        "optimizer.weight_decay": "logarithmic 0.005 to 0.5",
        "callbacks.unfreezing.lr_factor": "logarithmic 0.03 to 1",
        "callbacks.unfreezing.stages": (
            "{5:[layer4]}",
            "{5:[layer4],10:[layer3]}",
            "{5:[layer4],10:[layer3],15:[layer2,layer1,bn1,conv1]}",
        ),
    },
    "stock_lstm": {
        "optimizer.lr": "logarithmic 0.0003 to 0.03",
        "model.net.cell": ("lstm", "gru"),
        "model.net.hidden": "whole 8 to 64 in steps of 8",
        "model.net.dropout": "real 0 to 0.4",
        "data.window": "whole 5 to 30 in steps of 5",
    },
    "xor_mlp": {
        "optimizer.lr": "logarithmic 0.001 to 1",
        "model.net.hidden": ("[2]", "[4]", "[8]", "[16]"),
        "model.net.activation": ("tanh", "relu", "sigmoid"),
    },
}


def kind_and_bounds(dimension):
    if "values" in dimension:
        return dimension["values"]
    kind = "whole" if dimension["whole"] else "logarithmic" if dimension["log"] else "real"
    step = f" in steps of {dimension['step']:g}" if dimension["step"] else ""
    return f"{kind} {dimension['low']:g} to {dimension['high']:g}{step}"


def test_every_shipped_space_is_listed_here():
    assert {*SPACES} == {file.stem for file in DIRECTORY.glob("*.yaml")}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_each_axis_of_a_shipped_space_has_the_kind_and_the_bounds_of_its_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overrides = [f"experiment={name}", f"hparams_search={name}", *(CLASSIFIER if name == "gan_mnist" else [])]
    space = plan_search(Composer(), overrides).space
    assert {key: kind_and_bounds(dimension) for key, dimension in space.to_dict().items()} == SPACES[name]
