"""Parameter groups against hand-written ones of `torch.optim`, and the messages of invalid settings."""

import csv
import pickle
from copy import deepcopy
from functools import partial
from weakref import ref

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.model.attention import SelfAttention
from trainer.model.resnet import ResNet
from trainer.task.parameter_groups import ParameterGroups, number_layers
from trainer.training.preflight.unused_settings import UsageTracker

RUN = ("data=digits", "model=cnn", "trainer.max_epochs=1")


class Network(nn.Module):
    """A token, a stem with a norm, two blocks and a head."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 2))
        self.stem = nn.Linear(3, 2)
        self.norm = nn.LayerNorm(2)
        self.blocks = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
        self.head = nn.Linear(2, 1)


def make_optimizer(net, factory=None, **settings):
    groups = ParameterGroups(factory or partial(AdamW, lr=0.1, weight_decay=0.5), **settings)
    module = nn.ModuleDict({"net": net})
    groups.module = ref(module)
    return groups(module.parameters())


def assert_same_groups(actual, expected):
    for group, expected_group in zip(actual.param_groups, expected.param_groups, strict=True):
        group = {key: value for key, value in group.items() if key != "name"}
        assert group.keys() == expected_group.keys()
        assert [*map(id, group.pop("params"))] == [*map(id, expected_group["params"])]
        assert group == {key: value for key, value in expected_group.items() if key != "params"}


def test_groups_are_those_of_a_hand_written_optimizer():
    net = Network()
    groups = {
        "last": {"pattern": "head", "lr": 0.3, "betas": (0.8, 0.9)},
        "first": {"pattern": ["stem.*", "norm"], "lr_factor": 0.25, "weight_decay": 0.0},
    }
    actual = make_optimizer(net, groups=groups)
    expected = AdamW(
        [
            {"params": [net.token, *net.blocks.parameters()]},
            {"params": [*net.stem.parameters(), *net.norm.parameters()], "lr": 0.025, "weight_decay": 0.0},
            {"params": [*net.head.parameters()], "lr": 0.3, "betas": (0.8, 0.9)},
        ],
        lr=0.1,
        weight_decay=0.5,
    )
    assert_same_groups(actual, expected)
    assert [group["name"] for group in actual.param_groups] == ["rest", "first", "last"]


def test_biases_and_norms_have_no_weight_decay():
    net = Network()
    actual = make_optimizer(
        net, decay_biases_and_norms=False, groups={"head": {"pattern": "head", "weight_decay": 0.1}}
    )
    linear = (net.stem, net.blocks[0], net.blocks[2])
    expected = AdamW(
        [
            {"params": [net.token, *(layer.weight for layer in linear)]},
            {
                "params": [net.stem.bias, *net.norm.parameters(), net.blocks[0].bias, net.blocks[2].bias],
                "weight_decay": 0.0,
            },
            {"params": [*net.head.parameters()], "weight_decay": 0.1},
        ],
        lr=0.1,
        weight_decay=0.5,
    )
    assert_same_groups(actual, expected)
    assert [group["name"] for group in actual.param_groups] == ["rest", "no_decay", "head"]


def test_the_rate_decays_from_the_last_layer_to_the_first():
    net = Network()
    actual = make_optimizer(net, partial(SGD, lr=0.8), layer_decay=0.5)
    expected = SGD(
        [
            {"params": [net.token, *net.stem.parameters(), *net.norm.parameters()], "lr": 0.1},
            {"params": [*net.blocks[0].parameters()], "lr": 0.2},
            {"params": [*net.blocks[2].parameters()], "lr": 0.4},
            {"params": [*net.head.parameters()], "lr": 0.8},
        ]
    )
    assert_same_groups(actual, expected)
    assert [group["name"] for group in actual.param_groups] == ["layer0", "layer1", "layer2", "layer3"]


def test_layers_of_the_networks_of_this_package_are_blocks():
    image = DataSpec("images", "image", (3, 8, 8), "classification", 3, class_names=("a", "b", "c"))
    net = ResNet(image, depth=18, width=4)
    layers = number_layers(net)
    assert {layers[id(weight)] for weight in net.layer2[1].parameters()} == {4}
    assert layers[id(net.bn1.weight)] == 0
    assert layers[id(net.fc.weight)] == 9
    text = DataSpec("texts", "tokens", (9,), "classification", 1, class_names=("a", "b"), vocabulary_size=7)
    net = SelfAttention(text, width=8, heads=2, layers=2, feed_forward=8)
    layers = number_layers(net)
    assert layers[id(net.embedding.weight)] == 0
    assert [layers[id(next(block.parameters()))] for block in net.blocks] == [1, 2]
    assert layers[id(net.norm.weight)] == 2
    assert layers[id(net.head[0].weight)] == 3


def test_a_group_that_sets_its_rate_ignores_the_layer():
    net = Network()
    actual = make_optimizer(net, layer_decay=0.5, groups={"stem": {"pattern": "stem", "lr": 0.7}})
    rates = {group["name"]: group["lr"] for group in actual.param_groups}
    assert rates["stem"] == 0.7
    assert rates["layer0"] == 0.1 * 0.5**3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"groups": {"a": {"pattern": "haed"}}},
            r"groups.a.pattern: no parameter matches 'haed'\s+did you mean 'head'",
        ),
        ({"groups": {"a": {"pattern": ["head", "x"]}}}, "optimizer.groups.a.pattern: no parameter matches 'x'"),
        ({"groups": {"a": {"lr": 1}}}, "optimizer.groups.a: {'lr': 1} has no pattern"),
        ({"groups": {"a": {"pattern": "head", "wd": 1}}}, "optimizer.groups.a: .*unexpected keyword argument 'wd'"),
        ({"groups": {"a": {"pattern": "head", "lr": -1}}}, "optimizer.groups.a: Invalid learning rate: -1"),
        ({"groups": {"a": {"pattern": "head", "lr": 1, "lr_factor": 1}}}, "a: lr and lr_factor are both set"),
        ({"groups": {"a": {"pattern": "head", "lr_factor": 0}}}, "groups.a.lr_factor: 0 is not greater than 0"),
        (
            {"groups": {"a": {"pattern": "head"}, "b": {"pattern": "*.bias"}}},
            "optimizer.groups: 'head.bias' is in 'a' and in 'b'",
        ),
        ({"layer_decay": 0}, "optimizer.layer_decay: 0 is not in"),
    ],
)
def test_invalid_settings_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        make_optimizer(Network(), **settings)


def test_a_network_of_one_layer_has_no_layer_decay():
    with pytest.raises(UserError, match=r"optimizer.layer_decay: the network has 1 layer"):
        make_optimizer(nn.Linear(2, 1), layer_decay=0.5)


def test_groups_of_a_module_and_of_the_config_exclude_each_other():
    groups = ParameterGroups(SGD, layer_decay=0.5)
    with pytest.raises(UserError, match="optimizer: the module chooses its own parameter groups"):
        groups([{"params": [nn.Parameter(torch.zeros(1))]}])


def test_a_factory_can_be_a_hyperparameter_of_a_module():
    groups = ParameterGroups(partial(SGD, lr=0.8), layer_decay=0.5)
    groups.module = ref(Network())
    watched = UsageTracker().watch("optimizer", groups)
    for restored in (pickle.loads(pickle.dumps(groups)), pickle.loads(pickle.dumps(watched)), deepcopy(groups)):
        assert (restored.layer_decay, restored.factory.keywords, restored.module) == (0.5, {"lr": 0.8}, None)


def read_rates(directory, name):
    with (directory / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


def test_a_run_logs_the_rate_of_each_group_and_schedules_it(command, tmp_path):
    settings = (
        "optimizer.groups={head: {pattern: head, lr: 0.01}, first: {pattern: blocks.0, lr_factor: 0.5}}",
        "optimizer.lr=0.002",
        "optimizer.decay_biases_and_norms=false",
        "scheduler=wsd",
        "scheduler.warmup_fraction=0",
        "scheduler.decay_fraction=0.5",
        "trainer.log_every_n_steps=1",
        "hydra.run.dir=run",
    )
    outcome = command(*RUN, *settings)
    assert outcome.code == 0, outcome.err
    factors = [1.0] * 10 + [(19 - step) / 10 for step in range(10, 20)]
    for name, rate in {"head": 0.01, "head_no_decay": 0.01, "first": 0.001, "rest": 0.002, "no_decay": 0.002}.items():
        assert read_rates(tmp_path / "run", f"lr/{name}") == pytest.approx(
            [rate * factor for factor in factors], abs=1e-9
        )


@pytest.mark.slow
def test_the_fast_loop_trains_groups_as_lightning_does(command):
    settings = ("optimizer=adamw", "optimizer.layer_decay=0.5", "optimizer.decay_biases_and_norms=false")
    settings += ("model.net.channels=[2,2]", "logger=none", "test=false")
    weights = []
    for name, loop in {"fast": (), "plain": ("~callbacks.fast_loop",)}.items():
        outcome = command(*RUN, *settings, *loop, f"hydra.run.dir={name}", "trainer.max_epochs=2")
        assert outcome.code == 0, outcome.err
        weights.append(torch.load(f"{name}/checkpoints/last.ckpt", weights_only=True)["state_dict"])
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_errors_name_the_key_before_the_run(command):
    outcome = command(*RUN, "optimizer.groups={head: {pattern: head, weight_decy: 0.1}}")
    assert outcome.code == 1
    assert (
        "optimizer.groups.head.weight_decy: torch.optim.Adam takes no 'weight_decy'; did you mean 'weight_decay'"
        in (outcome.err)
    )


@pytest.mark.slow
def test_patterns_of_a_gan_select_parts_of_both_networks(command):
    gan = ("model=gan", "model.net.generator=[8]", "model.net.discriminator=[8]", "+trainer.limit_train_batches=2")
    groups = "optimizer.groups={g: {pattern: generator.0, lr: 0.1}, d: {pattern: discriminator, lr: 0.2}}"
    outcome = command(*RUN, *gan, groups, "hydra.run.dir=run", "test=false", "trainer.log_every_n_steps=1")
    assert outcome.code == 0, outcome.err
    assert read_rates(outcome.directory / "run", "lr_generator/g") == pytest.approx([0.1, 0.1])
    assert read_rates(outcome.directory / "run", "lr_discriminator") == pytest.approx([0.2, 0.2])
