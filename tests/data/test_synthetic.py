"""Synthetic data replace files, can be learned, and are marked in every output."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainer.data import synthetic
from trainer.data.diabetes import Diabetes
from trainer.data.mnist import MNIST
from trainer.data.stock import Stock
from trainer.data.table import Table
from trainer.data.texts import Texts

RUNS = [
    ("mnist", ["model.net.channels=[4,8]", "trainer.max_epochs=1", "data.val_size=100"]),
    ("cifar10", ["model.net.channels=[4,8]", "trainer.max_epochs=1", "data.val_size=100"]),
    ("image_folder", ["data.path=no", "data.size=16", "model.net.channels=[4,8]", "trainer.max_epochs=1"]),
    ("diabetes", ["trainer.max_epochs=10"]),
    ("table", ["data.path=no.csv", "data.features=5", "data.class_names=[a,b,c]", "trainer.max_epochs=10"]),
    ("table", ["data.path=no.csv", "data.features=5", "data.task=regression", "trainer.max_epochs=10"]),
    ("stock", ["model=lstm", "trainer.max_epochs=1"]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("data", "overrides"), RUNS)
def test_a_run_on_synthetic_data_is_marked_in_every_output(data, overrides, command):
    model = [] if data == "stock" else ["model=cnn" if data in ("mnist", "cifar10", "image_folder") else "model=mlp"]
    outcome = command(f"data={data}", "data.synthetic=true", *model, *overrides)
    assert outcome.code == 0, outcome.err
    assert f"data   {data} (SYNTHETIC: not the real data): " in outcome.out
    # next to the table of results
    assert "SYNTHETIC data: these metrics do not apply to the real data set" in outcome.out
    (run,) = outcome.runs
    assert json.loads((run / "result.json").read_text())["synthetic"] is True
    assert "SYNTHETIC" in (run / "trainer.log").read_text()
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert "SYNTHETIC data/text_summary" in events.Tags()["tensors"]
    for tag in events.Tags()["images"]:
        image = np.asarray(Image.open(io.BytesIO(events.Images(tag)[0].encoded_image_string)))
        assert tuple(image[-1, -1]) == (200, 0, 0), tag  # the strip at the bottom


def test_a_network_learns_synthetic_data(command):
    outcome = command("data=mnist", "data.synthetic=true", "data.val_size=100", "model=linear", "trainer.max_epochs=3")
    assert json.loads((outcome.runs[0] / "result.json").read_text())["metrics"]["test/accuracy"] > 0.9


def test_real_data_are_not_marked(command):
    outcome = command("data=xor", "trainer.max_epochs=1")
    assert "SYNTHETIC" not in outcome.out + outcome.err
    assert json.loads((outcome.runs[0] / "result.json").read_text())["synthetic"] is False


def test_splits_of_synthetic_images_have_no_common_image():
    splits = synthetic.make_images(MNIST(synthetic=True).spec, 50)
    assert {stage: len(split.targets) for stage, split in splits.items()} == {"train": 2000, "val": 50, "test": 1000}
    rows = torch.cat([split.inputs.flatten(1) for split in splits.values()])
    assert len(rows.unique(dim=0)) == 3050


def test_quantile_classes_have_equal_sizes():
    assert synthetic.assign_quantile_classes(torch.tensor([5.0, -1.0, 2.0, 9.0, 0.0, 3.0]), 3).tolist() == [
        2,
        0,
        1,
        2,
        0,
        1,
    ]


def make_texts_data(**settings):
    return Texts(path="x", class_names=["a", "b"], **settings)


@pytest.mark.parametrize("make", [Diabetes, lambda **k: Table(path="x", features=2, **k), Stock, make_texts_data])
def test_the_spec_is_marked(make):
    assert make(synthetic=True).spec.synthetic
    assert not make().spec.synthetic
    assert make().spec.title == make().spec.name
