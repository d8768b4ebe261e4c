"""TensorBoard output of the callbacks FirstBatch, GradientNorm, WorstPredictions, Embeddings and Histograms."""

from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.optim import SGD

from trainer.artifacts.loggers import ResilientTensorBoardLogger
from trainer.callbacks.embeddings import Embeddings
from trainer.callbacks.first_batch import FirstBatch
from trainer.callbacks.gradient_norm import GradientNorm
from trainer.callbacks.histograms import Histograms
from trainer.callbacks.plots.model_graph import build_graph
from trainer.callbacks.throughput import Throughput
from trainer.callbacks.worst_predictions import WorstPredictions
from trainer.data.digits import Digits
from trainer.data.line import Line
from trainer.data.xor import XOR
from trainer.model.cnn import CNN
from trainer.model.mlp import MLP
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised

QUIET = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)


def make_task(data, net=MLP, **settings):
    torch.manual_seed(0)
    return Supervised(net(data.spec, **settings), make_objective(data.spec), partial(SGD, lr=0.01), constant)


def run(tmp_path, data, *callbacks, task=None, epochs=1, test=False, **settings):
    """Train for some epochs of three steps, and return the events."""
    logger, task = ResilientTensorBoardLogger(tmp_path, name="", version="board"), task or make_task(data)
    trainer = pl.Trainer(
        max_epochs=epochs, limit_train_batches=3, accelerator="cpu", logger=logger, callbacks=[*callbacks],
        log_every_n_steps=2, num_sanity_val_steps=0, **QUIET, **settings,
    )  # fmt: skip
    if not test:
        trainer.fit(task, data)
    else:
        trainer.test(task, data, verbose=False)
    logger.experiment.close()
    return EventAccumulator(
        str(tmp_path / "board"), size_guidance={"tensors": 0, "scalars": 0, "histograms": 0}
    ).Reload()


def get_text(board, tag):
    return board.Tensors(f"{tag}/text_summary")[-1].tensor_proto.string_val[0].decode()


def test_the_graph_contains_each_call_with_its_sources_and_module():
    net = CNN(Digits().spec, channels=[4], hidden=[8], dropout=0.5)
    inputs, random = torch.zeros(2, 1, 8, 8), torch.get_rng_state()
    graph = build_graph(net, lambda: net.forward(inputs), inputs)
    assert torch.equal(torch.get_rng_state(), random)
    nodes = {node.name: [*node.input] for node in graph.node}
    assert nodes["blocks/0/conv2d"] == ["inputs"]
    assert nodes["flatten"] == [next(name for name in nodes if name.startswith("blocks/") and "relu" in name)]
    assert not [module for module in net.modules() if module._forward_hooks or module._forward_pre_hooks]
    assert [size.size for size in graph.node[0].attr["_output_shapes"].list.shape[0].dim] == [2, 1, 8, 8]


def test_the_first_batch_and_the_graph_are_logged_without_effect_on_the_training(tmp_path):
    nets = []
    for name, callbacks in {"with": [FirstBatch(examples=10, columns=5)], "without": []}.items():
        data = Digits(batch_size=30, augmentation=[{"affine": {"shift_pixels": 1.0}}])
        task = make_task(data, CNN, batch_norm=True, dropout=0.5)
        board = run(tmp_path / name, data, *callbacks, task=task)
        nets.append(task.net.state_dict())
        assert ("train/first_batch" in board.Tags()["images"]) == (name == "with") == board.Tags()["graph"]
    for first, second in zip(nets[0].values(), nets[1].values(), strict=True):
        assert torch.equal(first, second)


def test_vectors_are_logged_as_a_table(tmp_path):
    board = run(tmp_path, XOR(batch_size=4, repeats=3), FirstBatch(examples=3))
    rows = get_text(board, "train/first_batch").splitlines()
    assert rows[0] == "| target | input |"
    assert len(rows) == 2 + 3
    assert set(rows[2].split("|")[1].split()) <= {"true", "false"}


class TrainingOnly(nn.Module):
    """Network that fails in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, inputs):
        assert self.training
        return self.layer(inputs)


def test_a_network_that_fails_outside_of_training_has_no_graph(tmp_path):
    data = XOR(batch_size=4, repeats=3)
    task = Supervised(TrainingOnly(), make_objective(data.spec), partial(SGD, lr=0.01), constant)
    board = run(tmp_path, data, FirstBatch(), task=task, limit_val_batches=0)
    assert not board.Tags()["graph"]
    assert task.net.training


def test_the_norm_of_all_gradients_is_logged_at_logged_steps(tmp_path):
    recorded = []

    class Recorder(pl.Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            squares = [weight.grad.square().sum() for weight in pl_module.parameters()]
            recorded.append(torch.stack(squares).sum().sqrt().item())

    board = run(tmp_path, Line(), GradientNorm(), Recorder())
    assert [(event.step, event.value) for event in board.Scalars("other/grad_norm")] == [
        (1, pytest.approx(recorded[1]))
    ]


def test_throughput_is_logged_at_the_end(tmp_path):
    data, throughput = Line(), Throughput(every_seconds=3600)
    board = run(tmp_path, data, throughput, epochs=2)
    [event] = board.Scalars("other/steps_per_second")
    assert event.step == 6
    assert event.value > 0


def test_the_worst_predictions_are_first(tmp_path):
    data = Line(eval_batch_size=4)
    task = make_task(data)
    board = run(tmp_path, data, WorstPredictions(examples=5), task=task, test=True)
    logged = [float(row.split("|")[3]) for row in get_text(board, "test/worst_predictions").splitlines()[2:]]
    inputs, targets = data.splits["test"]
    errors = (task(data.prepare(inputs)) - targets).abs().flatten().sort(descending=True).values
    assert logged == pytest.approx(errors[:5].tolist(), rel=1e-3)


def test_only_wrong_classes_are_listed(tmp_path):
    data = XOR(batch_size=4, repeats=3)
    task = make_task(data)
    board = run(tmp_path, data, WorstPredictions(), task=task, test=True)
    inputs, targets = data.splits["test"]
    wrong = int(((task(data.prepare(inputs))[:, 0] > 0) != targets).sum())
    rows = get_text(board, "test/worst_predictions").splitlines()[2:]
    assert len(rows) == min(20, wrong)
    for row in rows:
        target, prediction, score = row.split("|")[1:4]
        assert target != prediction
        assert float(score) <= 0.5


def test_embeddings_are_the_inputs_of_the_last_layer_with_thumbnails(tmp_path):
    data = Digits(eval_batch_size=20)
    task = make_task(data, hidden=[7])
    run(tmp_path, data, Embeddings(examples=50), task=task, test=True)
    points = np.loadtxt(tmp_path / "board/examples.tsv", delimiter="\t")
    inputs = data.prepare(data.splits["test"].inputs[:50])
    task.eval()
    recorded = []
    task.net.layers[-1].register_forward_pre_hook(lambda _, args: recorded.append(args[0].detach()))
    task(inputs)
    np.testing.assert_allclose(points, recorded[0], rtol=1e-2, atol=1e-3)
    labels = (tmp_path / "board/examples_labels.tsv").read_text().splitlines()
    assert labels[0] == "target\tprediction"
    assert [line.split("\t")[0] for line in labels[1:]] == [
        str(int(target)) for target in data.splits["test"].targets[:50]
    ]
    with Image.open(tmp_path / "board/examples.png") as sprite:
        assert sprite.size == (8 * 8, 8 * 8)  # eight images of eight pixels in a row
    assert not task.net.layers[0]._forward_pre_hooks


def test_vectors_have_no_embeddings(tmp_path):
    run(tmp_path, Line(), Embeddings(), test=True)
    assert not (tmp_path / "board/projector_config.pbtxt").exists()


def test_histograms_are_logged_every_n_epochs_and_in_the_last(tmp_path):
    board = run(tmp_path, Line(), Histograms(every_n_epochs=2, activations=False), epochs=3)
    tags = {*board.Tags()["histograms"]}
    assert {tag.partition("/")[0] for tag in tags} == {"weights", "gradients"}
    assert [event.step for event in board.Histograms("weights/layers.0.weight")] == [6, 9]


def test_a_full_disk_is_reported_once_and_the_training_continues(tmp_path, monkeypatch, caplog):
    from tensorboard.summary.writer import record_writer

    write = record_writer.RecordWriter.write

    def full(self, data):
        if len(data) > 200:
            raise OSError(28, "No space left on device")
        write(self, data)

    monkeypatch.setattr(record_writer.RecordWriter, "write", full)
    task = make_task(Digits())
    board = run(tmp_path, Digits(batch_size=30), FirstBatch(), GradientNorm(), task=task, epochs=2)
    [message] = [message for message in caplog.messages if "No space left" in message]
    assert message.endswith("No space left on device; the run continues without writing these logs")
    assert task.trainer.global_step == 6
    assert board.Tags()["images"] == []
