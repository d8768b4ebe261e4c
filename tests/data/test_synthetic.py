"""Stand-ins: no file is read, a network learns them, and every output says that they are made up."""

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

MADE = [
    ("mnist", ["model.net.channels=[4,8]", "trainer.max_epochs=1", "data.val_size=100"]),
    ("cifar10", ["model.net.channels=[4,8]", "trainer.max_epochs=1", "data.val_size=100"]),
    ("image_folder", ["data.path=no", "data.size=16", "model.net.channels=[4,8]", "trainer.max_epochs=1"]),
    ("diabetes", ["trainer.max_epochs=10"]),
    ("table", ["data.path=no.csv", "data.features=5", "data.classes=3", "trainer.max_epochs=10"]),
    ("table", ["data.path=no.csv", "data.features=5", "data.task=values", "trainer.max_epochs=10"]),
    ("stock", ["model=lstm", "trainer.max_epochs=1"]),
]


@pytest.mark.parametrize(("data", "more"), MADE)
def test_a_run_on_made_up_data_says_so_in_every_output(data, more, command):
    model = [] if data == "stock" else ["model=cnn" if data in ("mnist", "cifar10", "image_folder") else "model=mlp"]
    outcome = command(f"data={data}", "data.synthetic=true", *model, *more)
    assert outcome.code == 0, outcome.err
    assert f"data   {data} (SYNTHETIC: made up, not the real data): " in outcome.out
    assert "SYNTHETIC data: made up, in place of the real ones" in outcome.out  # beside the table of results
    (run,) = outcome.runs
    assert json.loads((run / "result.json").read_text())["synthetic"] is True
    assert "SYNTHETIC" in (run / "trainer.log").read_text()
    board = EventAccumulator(str(run / "tensorboard"))
    board.Reload()
    assert "SYNTHETIC data/text_summary" in board.Tags()["tensors"]
    for tag in board.Tags()["images"]:
        picture = np.asarray(Image.open(io.BytesIO(board.Images(tag)[0].encoded_image_string)))
        assert tuple(picture[-1, -1]) == (200, 0, 0), tag  # the strip below


def test_a_network_learns_them(command):
    outcome = command("data=mnist", "data.synthetic=true", "data.val_size=100", "model=linear", "trainer.max_epochs=3")
    assert json.loads((outcome.runs[0] / "result.json").read_text())["metrics"]["test/accuracy"] > 0.9


def test_real_data_are_not_marked(command):
    outcome = command("data=xor", "trainer.max_epochs=1")
    assert "SYNTHETIC" not in outcome.out + outcome.err
    assert json.loads((outcome.runs[0] / "result.json").read_text())["synthetic"] is False


def test_splits_of_made_up_images_share_their_patterns_and_no_image():
    splits = synthetic.images(MNIST(synthetic=True).spec, 50)
    assert {stage: len(split.targets) for stage, split in splits.items()} == {"train": 2000, "val": 50, "test": 1000}
    rows = torch.cat([split.inputs.flatten(1) for split in splits.values()])
    assert len(rows.unique(dim=0)) == 3050


def test_classes_are_cut_at_equal_sizes_in_order():
    assert synthetic.classes_of(torch.tensor([5.0, -1.0, 2.0, 9.0, 0.0, 3.0]), 3).tolist() == [2, 0, 1, 2, 0, 1]


@pytest.mark.parametrize("make", [Diabetes, lambda **k: Table(path="x", features=2, **k), Stock])
def test_the_spec_carries_the_mark(make):
    assert make(synthetic=True).spec.synthetic
    assert not make().spec.synthetic
    assert make().spec.title == make().spec.name
