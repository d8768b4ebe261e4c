"""Every model of conf/model with all data of conf/data, with no data on the machine: it learns, or it refuses."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from trainer.core.errors import MismatchError
from trainer.core.spec import PADDING
from trainer.task.adversarial import discriminator_loss, generator_loss
from trainer.task.objective import objective_for

CONF = Path(__file__).resolve().parents[2] / "conf"
MODELS = sorted(file.stem for file in (CONF / "model").glob("*.yaml"))
DATA = sorted(file.stem for file in (CONF / "data").glob("*.yaml"))
EXAMPLES = 6
GIVEN = {  # what a user has to say before some data can be used
    "image_folder": {"path": "my_pictures", "synthetic": True},
    "table": {"path": "my.csv", "features": 3},
}


def spec_of(data):
    config = OmegaConf.create({"seed": 1, "data": OmegaConf.load(CONF / f"data/{data}.yaml")})
    return instantiate(config.data, _convert_="all", **GIVEN.get(data, {})).spec


def net_of(model, spec):
    """The network, or else the words of its refusal."""
    narrow = {"width": 16} if model == "resnet" else {}
    try:
        return instantiate(OmegaConf.load(CONF / f"model/{model}.yaml").net, **narrow, _convert_="all")(spec)
    except MismatchError as refusal:
        return str(refusal)


def random_batch(spec):
    if spec.kind == "tokens":
        lengths = torch.arange(1, EXAMPLES + 1).clamp(max=spec.shape[0])
        inputs = torch.randint(1, spec.vocabulary_size, (EXAMPLES, int(lengths.max())))
        inputs[torch.arange(inputs.shape[1]) >= lengths[:, None]] = PADDING
    else:
        inputs = torch.randn(EXAMPLES, *spec.shape)
    if spec.target == "values":
        return inputs, torch.randn(EXAMPLES, spec.output_size)
    return inputs, torch.randint(len(spec.class_names), (EXAMPLES,))


def fit(net, objective, inputs, targets, steps=20):
    """The loss before and after some steps on one batch."""
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(steps):
        losses.append(objective.loss(net(inputs), targets))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    return losses[0].item(), losses[-1].item()


def task_of(model):
    return OmegaConf.load(CONF / f"model/{model}.yaml").task._target_.rpartition(".")[2]


def learns_against_itself(net, inputs, steps=20):
    """Each network alone, on one batch, makes its own loss smaller."""
    nothing = torch.zeros(EXAMPLES, dtype=torch.long)
    assert net.judge(inputs, nothing).shape == (EXAMPLES, 1)
    fakes = net.sample(EXAMPLES, torch.Generator().manual_seed(0))
    assert fakes.shape == inputs.shape
    losses = {
        net.discriminator: lambda: discriminator_loss(net.judge(inputs, nothing), net.judge(fakes, nothing)),
        net.generator: lambda: generator_loss(net.judge(net.make(torch.ones(EXAMPLES, net.latent), nothing), nothing)),
    }
    for part, loss in losses.items():
        optimizer, before = torch.optim.Adam(part.parameters(), lr=0.001), loss().item()
        for _ in range(steps):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
        assert 0 <= loss().item() < before < float("inf")


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("model", MODELS)
def test_a_pair_learns_one_batch_or_is_refused_by_name(model, data):
    torch.manual_seed(0)
    spec = spec_of(data)
    net = net_of(model, spec)
    if isinstance(net, str):
        assert net.startswith(f"model '{model}' needs ")
        assert f"; data '{data}' has " in net
        return
    inputs, targets = random_batch(spec)
    if task_of(model) == "Adversarial":
        learns_against_itself(net, inputs)
        return
    assert net(inputs).shape == (EXAMPLES, spec.output_size)
    before, after = fit(net, objective_for(spec), inputs, targets)
    assert 0 <= after < before < float("inf")


@pytest.mark.parametrize("data", DATA)
def test_data_are_called_what_is_typed_and_keep_their_classes_in_order(data):
    spec = spec_of(data)
    assert spec.name == data
    if spec.target == "classes":
        assert spec.output_size == (1 if len(spec.class_names) == 2 else len(spec.class_names))


def takers(data):
    return {model for model in MODELS if not isinstance(net_of(model, spec_of(data)), str)}


def test_images_go_with_every_kind_of_network_and_vectors_with_all_but_the_convolutional():
    assert {"linear", "mlp", "cnn"} <= takers("mnist") & takers("digits")
    assert {"linear", "mlp"} <= takers("xor") & takers("line")
    assert "cnn" not in takers("xor") | takers("line")


def test_each_data_set_goes_with_some_model():
    assert [data for data in DATA if not takers(data)] == []
