"""Muon and AdamW against the optimizers of PyTorch, and the choice of their parameters."""

from functools import partial
from weakref import ref

import pytest
import torch
from torch import nn
from torch.optim import AdamW, Muon

from trainer.core.errors import UserError
from trainer.task.muon import MuonAdamW
from trainer.task.parameter_groups import ParameterGroups
from trainer.task.schedulers import cosine


class Network(nn.Module):
    """An embedding, a convolution, two dense layers and an output layer."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.convolution = nn.Conv1d(4, 4, 3, padding=1)
        self.hidden = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4))
        self.norm = nn.LayerNorm(4)
        self.output = nn.Linear(4, 2)

    def forward(self, tokens):
        inputs = self.convolution(self.embedding(tokens).mT).mT.mean(1)
        return self.output(self.norm(self.hidden(inputs)))


def make_optimizer(module, **settings):
    groups = ParameterGroups(partial(MuonAdamW, lr=0.02, weight_decay=0.1, fused=False), **settings)
    groups.module = ref(module)
    return groups(module.parameters())


def train(net, optimizers, schedules=(), steps=4, start=0):
    for step in range(start, steps):
        tokens = torch.randint(5, (8, 3), generator=torch.Generator().manual_seed(step))
        for optimizer in optimizers:
            optimizer.zero_grad()
        nn.functional.cross_entropy(net(tokens), tokens[:, 0] % 2).backward()
        for part in (*optimizers, *schedules):
            part.step()


def make_network():
    torch.manual_seed(1)
    return Network()


def test_hidden_matrices_are_trained_by_muon_and_all_others_by_adamw():
    actual, expected = make_network(), make_network()
    matrices = [expected.hidden[0].weight, expected.hidden[2].weight]
    others = [weight for weight in expected.parameters() if not any(weight is matrix for matrix in matrices)]
    optimizer = make_optimizer(actual)
    references = [
        Muon(matrices, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        AdamW(others, lr=0.02, weight_decay=0.1),
    ]
    train(actual, [optimizer], [cosine(optimizer, 4)])
    train(expected, references, [cosine(reference, 4) for reference in references])
    assert all(torch.equal(*pair) for pair in zip(actual.parameters(), expected.parameters(), strict=True))
    assert [group["name"] for group in optimizer.param_groups] == ["adamw", "muon"]


def test_a_restored_optimizer_continues_exactly():
    nets = [make_network(), make_network()]
    optimizers = [make_optimizer(net) for net in nets]
    train(nets[0], [optimizers[0]], steps=4)
    train(nets[1], [optimizers[1]], steps=2)
    restored = make_optimizer(nets[1])
    restored.load_state_dict(optimizers[1].state_dict())
    train(nets[1], [restored], steps=4, start=2)
    assert all(torch.equal(*pair) for pair in zip(*(net.parameters() for net in nets), strict=True))


def test_groups_combine_with_the_choice_of_the_optimizer():
    net = make_network()
    groups = {
        "first": {"pattern": "hidden.0", "lr_factor": 0.5},
        "plain": {"pattern": "hidden.2", "algorithm": "adamw"},
    }
    optimizer = make_optimizer(net, groups=groups, decay_biases_and_norms=False)
    rates = {
        group["name"]: (group["algorithm"], group["lr"], group["weight_decay"]) for group in optimizer.param_groups
    }
    assert rates == {
        "adamw": ("adamw", 0.02, 0.1),
        "adamw_no_decay": ("adamw", 0.02, 0.0),
        "first_muon": ("muon", 0.01, 0.1),
        "first_adamw_no_decay": ("adamw", 0.01, 0.0),
        "plain_adamw": ("adamw", 0.02, 0.1),
        "plain_adamw_no_decay": ("adamw", 0.02, 0.0),
    }


def test_without_a_network_all_matrices_are_trained_by_muon():
    optimizer = MuonAdamW(Network().parameters(), adamw_lr=0.5)
    shapes = {group["algorithm"]: [weight.ndim for weight in group["params"]] for group in optimizer.param_groups}
    assert shapes == {"muon": [2, 2, 2, 2], "adamw": [3, 1, 1, 1, 1, 1, 1]}
    assert {group["algorithm"]: group["lr"] for group in optimizer.param_groups} == {"muon": 0.001, "adamw": 0.5}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"groups": {"a": {"pattern": "convolution.weight", "algorithm": "muon"}}}, r"matrices only.*\[4, 4, 3\]"),
        ({"groups": {"a": {"pattern": "hidden", "momentum": -1}}}, "optimizer.groups.a: momentum should be >= 0"),
    ],
)
def test_invalid_groups_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        make_optimizer(make_network(), **settings)


def test_a_network_without_hidden_matrices_is_refused():
    with pytest.raises(UserError, match="no matrix of a hidden layer for Muon; use optimizer=adamw"):
        make_optimizer(nn.Sequential(nn.Conv1d(1, 1, 1), nn.Linear(2, 2)))


@pytest.mark.slow
def test_the_fast_loop_trains_as_lightning_does(command):
    weights = []
    for name, loop in {"fast": (), "plain": ("~callbacks.fast_loop",)}.items():
        settings = ("optimizer=muon", "model.net.hidden=[8,8]", "trainer.max_epochs=2", "test=false", "logger=none")
        outcome = command(*settings, *loop, f"hydra.run.dir={name}")
        assert outcome.code == 0, outcome.err
        weights.append(torch.load(f"{name}/checkpoints/last.ckpt", weights_only=True)["state_dict"])
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
