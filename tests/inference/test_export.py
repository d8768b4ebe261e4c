"""Exported files give what the network gives, at any batch and time size, and say how inputs are made."""

import json

import pytest
import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.preprocessing.images import Images
from trainer.data.preprocessing.tabular import plain
from trainer.inference import export as module
from trainer.inference.export import METADATA, export
from trainer.inference.load_checkpoint import Restored
from trainer.inference.predictor import Predictor
from trainer.model.attention import SelfAttention
from trainer.model.cnn import CNN
from trainer.model.gan import GAN
from trainer.model.linear import Linear
from trainer.model.lstm import LSTM
from trainer.model.mlp import MLP
from trainer.model.resnet import ResNet

IMAGES = DataSpec("digits", "image", (1, 8, 8), "classes", 10, tuple("0123456789"), value_range=(0.0, 1.0))
TEXTS = DataSpec("texts", "tokens", (40,), "classes", 1, ("negative", "positive"), vocabulary_size=50)
SERIES = DataSpec("series", "sequence", (10, 1), "values", 1)
ROWS = DataSpec("rows", "vector", (8,), "classes", 1, ("no", "yes"))
OBJECTIVE = {"_target_": "trainer.task.objective.objective_for", "_partial_": True}

NETS = {
    "mlp": lambda: (MLP(ROWS), ROWS),
    "linear": lambda: (Linear(SERIES), SERIES),
    "cnn": lambda: (CNN(IMAGES, batch_norm=True, dropout=0.5), IMAGES),
    "resnet": lambda: (ResNet(IMAGES, depth=10, width=16), IMAGES),
    "lstm of texts": lambda: (LSTM(TEXTS, bidirectional=True, layers=2, pooled="max", dropout=0.4), TEXTS),
    "lstm of texts, last state": lambda: (LSTM(TEXTS, bidirectional=True), TEXTS),
    "lstm of series": lambda: (LSTM(SERIES), SERIES),
    "gru of texts": lambda: (LSTM(TEXTS, cell="gru", pooled="mean"), TEXTS),
    "rnn of series": lambda: (LSTM(SERIES, cell="rnn"), SERIES),
    "attention of texts": lambda: (SelfAttention(TEXTS), TEXTS),
    "attention of texts, first state": lambda: (SelfAttention(TEXTS, pooled="first", positions="learned"), TEXTS),
    "attention of series": lambda: (SelfAttention(SERIES), SERIES),
    "attention of images": lambda: (SelfAttention(IMAGES), IMAGES),
    "gan": lambda: (GAN(IMAGES, generator=[16], discriminator=[16], channels=[8], batch_norm=True), IMAGES),
    "gan that is told classes": lambda: (
        GAN(IMAGES, generator=[16], discriminator=[16], conditional=True, ema_decay=0.9, temperature=0.7),
        IMAGES,
    ),
}


def predictor(net, spec, tmp_path, preprocessing=None):
    """A predictor of a network that was never trained."""
    config = {"objective": OBJECTIVE}
    return Predictor(Restored(tmp_path / "a.ckpt", net.eval(), spec, preprocessing, config, {}, {"trainer": "0"}))


@pytest.mark.parametrize("ending", ["onnx", "pt2"])
@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name == "mlp" else pytest.mark.slow) for name in NETS])
def test_every_network_can_be_exported(name, ending, tmp_path):
    if ending == "onnx":
        pytest.importorskip("onnxruntime")
    torch.manual_seed(1)
    net, spec = NETS[name]()
    done = export(predictor(net, spec, tmp_path), tmp_path / f"net.{ending}")
    assert done.difference <= 1e-5
    assert [*tmp_path.iterdir()] == [tmp_path / f"net.{ending}"]
    assert all(shape[0] == "batch" for shape in done.inputs.values())
    if spec.kind == "tokens":
        assert done.inputs == {"inputs": ["batch", "time"]}
        assert done.checked == [(1, 1), (5, 40), (2, 21)]


def test_a_plain_recurrent_cell_over_texts_is_refused(tmp_path):
    with pytest.raises(UserError, match="export: PyTorch cannot export this network:\n  "):
        export(predictor(LSTM(TEXTS, cell="rnn"), TEXTS, tmp_path), tmp_path / "net.pt2")
    assert not [*tmp_path.iterdir()]


def test_the_file_says_how_inputs_are_made_and_what_outputs_mean(tmp_path):
    made = Images((1, 8, 8), torch.tensor([1.0]), 16.0, highest=16)
    export(_linear(tmp_path, made), tmp_path / "net.pt2")
    extra = {METADATA: ""}
    torch.export.load(tmp_path / "net.pt2", extra_files=extra)
    note = json.loads(extra[METADATA])
    assert note["preprocessing"]["what"].startswith("What is stored are bytes")
    assert (note["preprocessing"]["mean"], note["preprocessing"]["highest"]) == ([1.0], 16)
    assert note["outputs"]["class_names"] == ["no", "yes"]
    assert note["outputs"]["meaning"] == "one logit: sigmoid of it gives probabilities"
    assert note["provenance"] == {"trainer": "0"}


def test_an_onnx_file_has_the_same_note(tmp_path):
    onnx = pytest.importorskip("onnx")
    export(_linear(tmp_path, plain(8)), tmp_path / "net.onnx")
    [prop] = [each for each in onnx.load(tmp_path / "net.onnx").metadata_props if each.key == "trainer"]
    assert json.loads(prop.value)["preprocessing"]["columns"] == [0, 1, 2, 3, 4, 5, 6, 7]


def _linear(tmp_path, preprocessing):
    return predictor(Linear(ROWS), ROWS, tmp_path, preprocessing)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda run: lambda given: run(given) + 2e-5, "the outputs differ from the original's by 2.0e-05"),
        (lambda run: lambda given: run(given) * float("nan"), "the outputs differ from the original's by nan"),
        (lambda run: lambda given: run(given)[:1], r"outputs came out \(1, 1\), not \(5, 1\)"),
    ],
)
def test_a_file_that_gives_something_else_is_not_kept(fault, message, tmp_path, monkeypatch):
    def faulty(*given):
        run, shapes = make(*given)
        return fault(run), shapes

    make = module.to_program
    monkeypatch.setattr(module, "to_program", faulty)
    with pytest.raises(UserError, match=message):
        export(_linear(tmp_path, None), tmp_path / "net.pt2")
    assert not [*tmp_path.iterdir()]


def test_a_batch_that_came_out_fixed_is_refused(tmp_path, monkeypatch):
    def frozen(*given):
        return make(*given)[0], {"inputs": [3, 8]}

    make = module.to_program
    monkeypatch.setattr(module, "to_program", frozen)
    with pytest.raises(UserError, match="the batch of 'inputs' came out fixed at 3"):
        export(_linear(tmp_path, None), tmp_path / "net.pt2")
