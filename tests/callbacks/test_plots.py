"""What goes into TensorBoard beside curves and reports of classes: first look, norms, mistakes, points, histograms."""

from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.optim import SGD

from trainer.artifacts.loggers import EventLog
from trainer.callbacks.embeddings import Embeddings
from trainer.callbacks.first_batch import FirstLook
from trainer.callbacks.gradient_norm import GradientNorm
from trainer.callbacks.histograms import Histograms
from trainer.callbacks.plots.model_graph import graph_of
from trainer.callbacks.plots.tensorboard import table
from trainer.callbacks.throughput import Throughput
from trainer.callbacks.worst_predictions import WorstMistakes
from trainer.data.digits import Digits
from trainer.data.line import Line
from trainer.data.xor import XOR
from trainer.model.cnn import CNN
from trainer.model.mlp import MLP
from trainer.task.objective import objective_for
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised

QUIET = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)


def task_for(data, net=MLP, **settings):
    torch.manual_seed(0)
    return Supervised(net(data.spec, **settings), objective_for(data.spec), partial(SGD, lr=0.01), constant)


def board_of(tmp_path, data, *callbacks, task=None, epochs=1, test=False, **settings):
    """Train for some epochs of three steps, and read back what was shown."""
    logger, task = EventLog(tmp_path, name="", version="board"), task or task_for(data)
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


def text_of(board, tag):
    return board.Tensors(f"{tag}/text_summary")[-1].tensor_proto.string_val[0].decode()


def test_the_graph_has_each_call_with_what_it_takes_within_its_module():
    net = CNN(Digits().spec, channels=[4], hidden=[8], dropout=0.5)
    inputs, random = torch.zeros(2, 1, 8, 8), torch.get_rng_state()
    graph = graph_of(net, lambda: net.forward(inputs), inputs)
    assert torch.equal(torch.get_rng_state(), random)
    nodes = {node.name: [*node.input] for node in graph.node}
    assert nodes["blocks/0/conv2d"] == ["inputs"]
    assert nodes["flatten"] == [next(name for name in nodes if name.startswith("blocks/") and "relu" in name)]
    assert not [module for module in net.modules() if module._forward_hooks or module._forward_pre_hooks]
    assert [size.size for size in graph.node[0].attr["_output_shapes"].list.shape[0].dim] == [2, 1, 8, 8]


def test_a_first_look_shows_the_batch_and_the_graph_and_changes_nothing(tmp_path):
    nets = []
    for name, callbacks in {"with": [FirstLook(examples=10, columns=5)], "without": []}.items():
        data = Digits(batch_size=30, shift_pixels=1.0)
        task = task_for(data, CNN, batch_norm=True, dropout=0.5)
        board = board_of(tmp_path / name, data, *callbacks, task=task)
        nets.append(task.net.state_dict())
        assert ("train/first_batch" in board.Tags()["images"]) == (name == "with") == board.Tags()["graph"]
    for one, other in zip(nets[0].values(), nets[1].values(), strict=True):
        assert torch.equal(one, other)


def test_vectors_are_shown_as_a_table(tmp_path):
    board = board_of(tmp_path, XOR(batch_size=4, repeats=3), FirstLook(examples=3))
    rows = text_of(board, "train/first_batch").splitlines()
    assert rows[0] == "| target | input |"
    assert len(rows) == 2 + 3
    assert set(rows[2].split("|")[1].split()) <= {"true", "false"}


class Unwilling(nn.Module):
    """Refuses to be looked at."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, inputs):
        assert self.training
        return self.layer(inputs)


def test_a_network_that_cannot_be_called_by_itself_has_no_graph_and_trains(tmp_path):
    data = XOR(batch_size=4, repeats=3)
    task = Supervised(Unwilling(), objective_for(data.spec), partial(SGD, lr=0.01), constant)
    board = board_of(tmp_path, data, FirstLook(), task=task, limit_val_batches=0)
    assert not board.Tags()["graph"]
    assert task.net.training


def test_the_norm_is_that_of_all_gradients_at_the_steps_that_are_logged(tmp_path):
    seen = []

    class Look(pl.Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            squares = [weight.grad.square().sum() for weight in pl_module.parameters()]
            seen.append(torch.stack(squares).sum().sqrt().item())

    board = board_of(tmp_path, Line(), GradientNorm(), Look())
    assert [(event.step, event.value) for event in board.Scalars("grad_norm")] == [(1, pytest.approx(seen[1]))]


def test_throughput_has_a_point_at_the_end_and_not_in_the_metrics(tmp_path):
    data, throughput = Line(), Throughput(every_seconds=3600)
    board = board_of(tmp_path, data, throughput, epochs=2)
    [event] = board.Scalars("steps_per_second")
    assert event.step == 6
    assert event.value > 0


def test_the_worst_mistakes_stand_first(tmp_path):
    data = Line(eval_batch_size=4)
    task = task_for(data)
    board = board_of(tmp_path, data, WorstMistakes(examples=5), task=task, test=True)
    off = [float(row.split("|")[3]) for row in text_of(board, "test/mistakes").splitlines()[2:]]
    inputs, targets = data.splits["test"]
    errors = (task(data.prepare(inputs)) - targets).abs().flatten().sort(descending=True).values
    assert off == pytest.approx(errors[:5].tolist(), rel=1e-3)


def test_of_classes_only_what_is_wrong_is_a_mistake(tmp_path):
    data = XOR(batch_size=4, repeats=3)
    task = task_for(data)
    board = board_of(tmp_path, data, WorstMistakes(), task=task, test=True)
    inputs, targets = data.splits["test"]
    wrong = int(((task(data.prepare(inputs))[:, 0] > 0) != targets).sum())
    rows = text_of(board, "test/mistakes").splitlines()[2:]
    assert len(rows) == min(20, wrong)
    for row in rows:
        truth, said, score = row.split("|")[1:4]
        assert truth != said
        assert float(score) <= 0.5


def test_points_are_the_inputs_of_the_last_layer_with_thumbnails(tmp_path):
    data = Digits(eval_batch_size=20)
    task = task_for(data, hidden=[7])
    board_of(tmp_path, data, Embeddings(examples=50), task=task, test=True)
    points = np.loadtxt(tmp_path / "board/examples.tsv", delimiter="\t")
    inputs = data.prepare(data.splits["test"].inputs[:50])
    task.eval()
    seen = []
    task.net.layers[-1].register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    task(inputs)
    np.testing.assert_allclose(points, seen[0], rtol=1e-2, atol=1e-3)
    labels = (tmp_path / "board/examples_labels.tsv").read_text().splitlines()
    assert labels[0] == "truth\tsaid"
    assert [line.split("\t")[0] for line in labels[1:]] == [str(int(each)) for each in data.splits["test"].targets[:50]]
    with Image.open(tmp_path / "board/examples.png") as sprite:
        assert sprite.size == (8 * 8, 8 * 8)  # eight images of eight pixels in a row
    assert not task.net.layers[0]._forward_pre_hooks


def test_vectors_have_no_points(tmp_path):
    board_of(tmp_path, Line(), Embeddings(), test=True)
    assert not (tmp_path / "board/projector_config.pbtxt").exists()


def test_histograms_come_every_so_many_epochs_and_in_the_last(tmp_path):
    board = board_of(tmp_path, Line(), Histograms(every_epochs=2, activations=False), epochs=3)
    tags = {*board.Tags()["histograms"]}
    assert {tag.partition("/")[0] for tag in tags} == {"weights", "gradients"}
    assert [event.step for event in board.Histograms("weights/layers.0.weight")] == [6, 9]


def test_cells_hold_text_and_no_markup():
    assert table(["a"], [["<b>|x|\n*y*"]]).splitlines()[2] == "| \\<b\\>\\|x\\| \\*y\\* |"


def test_a_full_disk_is_told_once_and_the_training_goes_on(tmp_path, monkeypatch, caplog):
    from tensorboard.summary.writer import record_writer

    written = record_writer.RecordWriter.write

    def full(self, data):
        if len(data) > 200:
            raise OSError(28, "No space left on device")
        written(self, data)

    monkeypatch.setattr(record_writer.RecordWriter, "write", full)
    board = board_of(tmp_path, Digits(batch_size=30), FirstLook(), GradientNorm(), epochs=2)
    assert [message for message in caplog.messages if "No space left" in message and "the run goes on" in message] != []
    assert sum("No space left" in message for message in caplog.messages) == 1
    assert board.Tags()["images"] == []
