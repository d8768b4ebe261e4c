"""SWA and Lookahead against the mean of the epochs' weights and against the algorithm of the paper."""

import json
from copy import deepcopy
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.swa_utils import update_bn

from trainer.callbacks.lookahead import Lookahead
from trainer.callbacks.swa import SWA
from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.split import Split
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised

TINY = ("data=digits", "model.net.hidden=[4]", "optimizer.lr=0.01", "logger=none", "trainer.max_epochs=4")
SWA_RUN = ("callbacks=[default,swa]", "callbacks.swa.start_epoch=2")
LOOKAHEAD_RUN = ("callbacks=[default,lookahead]",)


class Vectors(TensorData):
    """Twelve random vectors of two classes, three batches per epoch."""

    spec = DataSpec("vectors", "vector", (3,), "classification", 1, class_names=("a", "b"))

    def load(self):
        random = torch.Generator().manual_seed(5)
        split = Split(torch.randn(12, 3, generator=random), torch.tensor([0, 1] * 6))
        return {"train": split, "val": split, "test": split}


class Recorder(pl.Callback):
    """Records copies of the network: after each step, and in each validation."""

    def __init__(self):
        self.stepped, self.validated = [], []

    def on_train_batch_end(self, trainer, task, *_):
        self.stepped.append(deepcopy(task.net))

    def on_validation_batch_start(self, trainer, task, *_):
        self.validated.append(deepcopy(task.net))


def fit(average, *, epochs=5, norm=False, data=None):
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 4), *[nn.BatchNorm1d(4)] * norm, nn.ReLU(), nn.Linear(4, 1))
    initial = deepcopy(net)
    task = Supervised(net, make_objective(Vectors.spec), partial(SGD, lr=0.5, momentum=0.9), constant)
    recorder = Recorder()
    settings = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(
        **settings, max_epochs=epochs, num_sanity_val_steps=0, callbacks=[recorder, average], enable_model_summary=False
    )
    trainer.fit(task, data or Vectors(batch_size=4, seed=3))
    return initial, recorder, task.net


def assert_equal(actual, expected):
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=1e-6, atol=1e-7)


def read_weights(net):
    return {name: weight.detach() for name, weight in net.named_parameters()}


def mean_weights(nets):
    return {name: torch.stack([read_weights(net)[name] for net in nets]).mean(0) for name in read_weights(nets[0])}


@pytest.mark.parametrize(("start", "first"), [(2, 2), (0.5, 2), (0, 0), (4, 4)])
def test_swa_is_the_mean_of_the_weights_after_each_epoch(start, first):
    _, recorder, final = fit(SWA(start_epoch=start))
    ends = recorder.stepped[2::3]
    for epoch, net in enumerate(recorder.validated):
        expected = mean_weights(ends[first : epoch + 1]) if epoch >= first else read_weights(ends[epoch])
        assert_equal(read_weights(net), expected)
    assert_equal(read_weights(final), mean_weights(ends[first:]))


def test_swa_computes_the_statistics_of_batch_norms_for_the_mean():
    _, recorder, final = fit(SWA(start_epoch=3), norm=True)
    expected = deepcopy(recorder.stepped[-1])
    expected.load_state_dict(mean_weights(recorder.stepped[11::3]), strict=False)
    update_bn(load_batches(), expected)
    torch.testing.assert_close(final[1].running_mean, expected[1].running_mean)
    # the mean of the variances of three batches depends on their order
    assert final[1].num_batches_tracked == 3
    assert not torch.allclose(final[1].running_mean, recorder.stepped[-1][1].running_mean)


def load_batches():
    data = Vectors(batch_size=4, seed=3)
    data.setup("fit")
    return data.train_dataloader()


def test_the_pass_for_batch_norms_does_not_change_the_training():
    class Unchanged(SWA):
        def _update_batch_norms(self, *_):
            pass

    expected, actual = (fit(average, norm=True)[1] for average in (Unchanged(start_epoch=1), SWA(start_epoch=1)))
    for one, other in zip(expected.stepped, actual.stepped, strict=True):
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize(("steps", "alpha"), [(2, 0.5), (4, 0.8)])
def test_lookahead_follows_the_algorithm_of_the_paper(steps, alpha):
    initial, recorder, final = fit(Lookahead(every_n_steps=steps, alpha=alpha), epochs=3)
    fast = deepcopy(initial)
    slow = read_weights(deepcopy(initial))
    optimizer = SGD(fast.parameters(), lr=0.5, momentum=0.9)
    task = Supervised(fast, make_objective(Vectors.spec), None, None)
    data = Vectors(batch_size=4, seed=3)
    data.setup("fit")
    loader = data.train_dataloader()
    step = 0
    for epoch in range(3):
        for inputs, targets in loader:
            optimizer.zero_grad()
            task.objective.loss(fast(inputs), targets).backward()
            optimizer.step()
            step += 1
            if step % steps == 0:
                for name, weight in fast.named_parameters():
                    slow[name] = slow[name] + alpha * (weight.detach() - slow[name])
                    weight.data = slow[name].clone()
        assert_equal(read_weights(recorder.validated[epoch]), slow)
    assert_equal(read_weights(final), slow)


@pytest.mark.parametrize(
    ("average", "arguments", "message"),
    [
        (SWA, {"start_epoch": -1}, "callbacks.swa.start_epoch: -1 is neither"),
        (SWA, {"start_epoch": 1.5}, "callbacks.swa.start_epoch: 1.5 is neither"),
        (Lookahead, {"every_n_steps": 0}, "callbacks.lookahead.every_n_steps: 0 is not"),
        (Lookahead, {"alpha": 0}, "callbacks.lookahead.alpha: 0 is not"),
    ],
)
def test_settings_out_of_range_are_refused(average, arguments, message):
    with pytest.raises(UserError, match=message):
        average(**arguments)


def test_an_average_of_no_epoch_is_a_warning(command):
    outcome = command(*TINY, "callbacks=[default,swa]", "callbacks.swa.start_epoch=4", "test=false")
    assert outcome.code == 0, outcome.err
    assert "callbacks.swa.start_epoch: in 4 epochs no weights are averaged; expected below 4" in outcome.out
    _, recorder, final = fit(SWA(start_epoch=5), epochs=2)
    assert_equal(read_weights(final), read_weights(recorder.stepped[-1]))


def test_a_fraction_of_a_training_of_unknown_length_is_refused():
    with pytest.raises(UserError, match=r"callbacks.swa.start_epoch: a fraction needs trainer.max_epochs"):
        fit(SWA(), epochs=-1)


def test_batch_norms_that_forward_does_not_use_are_refused():
    class Branch(nn.Sequential):
        def forward(self, inputs):
            return self[0](inputs)

    torch.manual_seed(1)
    task = Supervised(Branch(nn.Linear(3, 1), nn.BatchNorm1d(1)), make_objective(Vectors.spec), SGD, constant)
    settings = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(**settings, max_epochs=1, callbacks=[SWA(start_epoch=0)], enable_model_summary=False)
    with pytest.raises(UserError, match=r"callbacks.swa: forward\(\) of Supervised does not use all batch norms"):
        trainer.fit(task, Vectors(batch_size=4))


def read_run(directory):
    checkpoint = torch.load(directory / "checkpoints/last.ckpt", weights_only=True)
    weights = {
        f"{key}/{name}": value
        for key in ("state_dict", "current_model_state")
        for name, value in checkpoint[key].items()
    }
    return weights, json.loads((directory / "result.json").read_text())["metrics"]


@pytest.mark.slow
@pytest.mark.parametrize("average", [SWA_RUN, pytest.param(LOOKAHEAD_RUN, marks=pytest.mark.slow)])
def test_the_fast_loop_and_a_resumed_run_have_the_same_averages(average, command, tmp_path):
    runs = {
        "fast": ((*TINY, *average),),
        "plain": ((*TINY, *average, "~callbacks.fast_loop"),),
        "resumed": ((*TINY, *average, "trainer.max_epochs=3"), ("resume", "resumed", "trainer.max_epochs=4")),
    }
    for name, commands in runs.items():
        for number, overrides in enumerate(commands):
            outcome = command(*overrides, *[f"hydra.run.dir={name}"] * (number == 0))
            assert outcome.code == 0, outcome.err
    weights, metrics = read_run(tmp_path / "fast")
    for name in ("plain", "resumed"):
        actual, actual_metrics = read_run(tmp_path / name)
        assert all(torch.equal(value, weights[key]) for key, value in actual.items())
        assert actual_metrics == metrics
