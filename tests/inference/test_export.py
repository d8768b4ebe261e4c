"""Exported files have the outputs of the network at any batch size and length, and contain metadata."""

import json

import pytest
import torch

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.preprocessing.images import ImagePreprocessing
from trainer.data.preprocessing.tabular import make_passthrough
from trainer.inference import export as module
from trainer.inference.export import METADATA_FILENAME, export
from trainer.inference.load_checkpoint import LoadedCheckpoint
from trainer.inference.predictor import Predictor
from trainer.model.attention import SelfAttention
from trainer.model.bag import Bag
from trainer.model.cnn import CNN
from trainer.model.ensemble import Ensemble
from trainer.model.gan import GAN
from trainer.model.linear import Linear
from trainer.model.lstm import LSTM
from trainer.model.mlp import MLP
from trainer.model.resnet import ResNet

IMAGES = DataSpec("digits", "image", (1, 8, 8), "classification", 10, tuple("0123456789"), value_range=(0.0, 1.0))
TEXTS = DataSpec("texts", "tokens", (40,), "classification", 1, ("negative", "positive"), vocabulary_size=50)
SERIES = DataSpec("series", "sequence", (10, 1), "regression", 1)
ROWS = DataSpec("rows", "vector", (8,), "classification", 1, ("no", "yes"))
OBJECTIVE = {"_target_": "trainer.task.objective.make_objective", "_partial_": True}


def bag_of_naive_bayes():
    """Return a network with other weights and ratios than those of its constructor."""
    net = Bag(TEXTS, ngrams=3, buckets=1000, naive_bayes=True)
    torch.nn.init.normal_(net.embedding.weight[1:])
    net.ratios.normal_()
    return net


def make_ensemble(spec, *classes):
    """Return a calibrated ensemble."""
    net = Ensemble(spec, members={cls.__name__: cls for cls in classes}, averaged="probabilities")
    net.temperature.fill_(1.5)
    return net


NETS = {
    "mlp": lambda: (MLP(ROWS), ROWS),
    "linear": lambda: (Linear(SERIES), SERIES),
    "cnn": lambda: (CNN(IMAGES, batch_norm=True, dropout=0.5), IMAGES),
    "resnet": lambda: (ResNet(IMAGES, depth=10, width=16), IMAGES),
    "lstm of texts": lambda: (LSTM(TEXTS, bidirectional=True, layers=2, pooling="max", dropout=0.4), TEXTS),
    "lstm of texts, last state": lambda: (LSTM(TEXTS, bidirectional=True), TEXTS),
    "lstm of n-grams": lambda: (LSTM(TEXTS, ngrams=3, buckets=1000, pooling="max", pool_inputs=True), TEXTS),
    "lstm of series": lambda: (LSTM(SERIES), SERIES),
    "gru of texts": lambda: (LSTM(TEXTS, cell="gru", pooling="mean"), TEXTS),
    "rnn of series": lambda: (LSTM(SERIES, cell="rnn"), SERIES),
    "ensemble of classes": lambda: (make_ensemble(IMAGES, MLP, Linear), IMAGES),
    "ensemble of two classes": lambda: (make_ensemble(ROWS, MLP, Linear), ROWS),
    "bag": lambda: (Bag(TEXTS, ngrams=3, buckets=1000, word_dropout=0.5), TEXTS),
    "bag of naive Bayes": lambda: (bag_of_naive_bayes(), TEXTS),
    "attention of texts": lambda: (SelfAttention(TEXTS), TEXTS),
    "attention of n-grams": lambda: (SelfAttention(TEXTS, ngrams=2, buckets=1000), TEXTS),
    "attention of texts, first state": lambda: (
        SelfAttention(TEXTS, pooling="first", positional_encoding="learned"),
        TEXTS,
    ),
    "attention of series": lambda: (SelfAttention(SERIES), SERIES),
    "attention of images": lambda: (SelfAttention(IMAGES), IMAGES),
    "gan": lambda: (GAN(IMAGES, generator=[16], discriminator=[16], channels=[8], batch_norm=True), IMAGES),
    "conditional gan": lambda: (
        GAN(IMAGES, generator=[16], discriminator=[16], conditional=True, ema_decay=0.9, temperature=0.7),
        IMAGES,
    ),
}


def predictor(net, spec, tmp_path, preprocessing=None):
    """Return a predictor with an untrained network."""
    config = {"objective": OBJECTIVE}
    return Predictor(
        LoadedCheckpoint(tmp_path / "a.ckpt", net.eval(), spec, preprocessing, config, {}, {"trainer": "0"})
    )


@pytest.mark.parametrize("ending", ["onnx", "pt2"])
@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name == "mlp" else pytest.mark.slow) for name in NETS])
def test_every_network_can_be_exported(name, ending, tmp_path):
    if ending == "onnx":
        pytest.importorskip("onnxruntime")
    torch.manual_seed(1)
    net, spec = NETS[name]()
    result = export(predictor(net, spec, tmp_path), tmp_path / f"net.{ending}")
    assert result.difference <= 1e-5
    assert [*tmp_path.iterdir()] == [tmp_path / f"net.{ending}"]
    assert all(shape[0] == "batch" for shape in result.inputs.values())
    if spec.kind == "tokens":
        assert result.inputs == {"inputs": ["batch", "time"]}
        assert result.checked == [(1, 1), (5, 40), (2, 21)]


def test_an_rnn_for_texts_is_refused(tmp_path):
    with pytest.raises(UserError, match="export: PyTorch cannot export this network:\n  "):
        export(predictor(LSTM(TEXTS, cell="rnn"), TEXTS, tmp_path), tmp_path / "net.pt2")
    assert not [*tmp_path.iterdir()]


def test_a_program_contains_metadata_of_inputs_and_outputs(tmp_path):
    preprocessing = ImagePreprocessing((1, 8, 8), torch.tensor([1.0]), 16.0, max_value=16)
    export(_linear(tmp_path, preprocessing), tmp_path / "net.pt2")
    extra = {METADATA_FILENAME: ""}
    torch.export.load(tmp_path / "net.pt2", extra_files=extra)
    metadata = json.loads(extra[METADATA_FILENAME])
    assert metadata["preprocessing"]["what"].startswith("Stored inputs are bytes")
    assert (metadata["preprocessing"]["mean"], metadata["preprocessing"]["max_value"]) == ([1.0], 16)
    assert metadata["outputs"]["class_names"] == ["no", "yes"]
    assert metadata["outputs"]["meaning"] == "one logit: sigmoid of it gives probabilities"
    assert metadata["provenance"] == {"trainer": "0"}


def test_an_onnx_file_contains_the_same_metadata(tmp_path):
    onnx = pytest.importorskip("onnx")
    export(_linear(tmp_path, make_passthrough(8)), tmp_path / "net.onnx")
    [prop] = [item for item in onnx.load(tmp_path / "net.onnx").metadata_props if item.key == "trainer"]
    assert json.loads(prop.value)["preprocessing"]["columns"] == [
        {"index": index, "name": "", "kind": "number"} for index in range(8)
    ]


def _linear(tmp_path, preprocessing):
    return predictor(Linear(ROWS), ROWS, tmp_path, preprocessing)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda run: lambda inputs: run(inputs) + 2e-5, "the outputs differ from the original ones by 2.0e-05"),
        (lambda run: lambda inputs: run(inputs) * float("nan"), "the outputs differ from the original ones by nan"),
        (lambda run: lambda inputs: run(inputs)[:1], r"outputs have the shape \(1, 1\); expected \(5, 1\)"),
    ],
)
def test_a_file_with_different_outputs_is_deleted(fault, message, tmp_path, monkeypatch):
    def faulty(*args):
        run, shapes = write(*args)
        return fault(run), shapes

    write = module.export_program
    monkeypatch.setattr(module, "export_program", faulty)
    with pytest.raises(UserError, match=message):
        export(_linear(tmp_path, None), tmp_path / "net.pt2")
    assert not [*tmp_path.iterdir()]


def test_a_fixed_batch_size_is_refused(tmp_path, monkeypatch):
    def frozen(*args):
        return write(*args)[0], {"inputs": [3, 8]}

    write = module.export_program
    monkeypatch.setattr(module, "export_program", frozen)
    with pytest.raises(UserError, match="the exporter has fixed the batch size of 'inputs' at 3"):
        export(_linear(tmp_path, None), tmp_path / "net.pt2")
