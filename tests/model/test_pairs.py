"""Every model of conf/model with all data of conf/data: it learns random batches, or rejects the data."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from trainer.config.introspection.group_options import load_choices
from trainer.core.errors import MismatchError
from trainer.core.spec import PADDING_INDEX
from trainer.task.adversarial import discriminator_loss, generator_loss
from trainer.task.objective import make_objective

CONF = Path(__file__).resolve().parents[2] / "conf"
MODELS, DATA = (
    sorted(name for name, choice in load_choices()[group].items() if not choice.is_template)
    for group in ("model", "data")
)
EXAMPLES = 6
REQUIRED = {  # required settings of some data
    "image_folder": {"path": "my_pictures", "synthetic": True},
    "table": {"path": "my.csv", "features": 3},
    "arrays": {"synthetic": True},
    "texts": {"path": "my.csv", "synthetic": True},
}
SAME_SHAPES = ("arrays", "fashion_mnist", "kmnist")  # the sizes of mnist, with which each model is trained


def get_spec(data):
    config = OmegaConf.create({"seed": 1, "data": OmegaConf.load(CONF / f"data/{data}.yaml")})
    return instantiate(config.data, _convert_="all", **REQUIRED.get(data, {})).spec


def make_net(model, spec):
    """Return the network, or the message if it rejects the data."""
    narrow = {"width": 16} if model == "resnet" else {}
    try:
        return instantiate(OmegaConf.load(CONF / f"model/{model}.yaml").net, **narrow, _convert_="all")(spec)
    except MismatchError as error:
        return str(error)


def random_batch(spec):
    if spec.kind == "tokens":
        lengths = torch.arange(1, EXAMPLES + 1).clamp(max=spec.shape[0])
        inputs = torch.randint(1, spec.vocabulary_size, (EXAMPLES, int(lengths.max())))
        inputs[torch.arange(inputs.shape[1]) >= lengths[:, None]] = PADDING_INDEX
    else:
        inputs = torch.randn(EXAMPLES, *spec.shape)
    if spec.target == "regression":
        return inputs, torch.randn(EXAMPLES, spec.output_size)
    return inputs, torch.randint(len(spec.class_names), (EXAMPLES,))


def fit(net, objective, inputs, targets, steps=20):
    """Return the loss before and after some steps on one batch."""
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(steps):
        losses.append(objective.loss(net(inputs), targets))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    return losses[0].item(), losses[-1].item()


def get_task(model):
    return OmegaConf.load(CONF / f"model/{model}.yaml")._target_.rpartition(".")[2]


def check_adversarial(net, inputs, steps=20):
    """Check that each network reduces its loss on one batch."""
    targets = torch.zeros(EXAMPLES, dtype=torch.long)
    assert net.discriminate(inputs, targets).shape == (EXAMPLES, 1)
    fakes = net.sample(EXAMPLES, torch.Generator().manual_seed(0))
    assert fakes.shape == inputs.shape
    losses = {
        net.discriminator: lambda: discriminator_loss(
            net.discriminate(inputs, targets), net.discriminate(fakes, targets)
        ),
        net.generator: lambda: generator_loss(
            net.discriminate(net.generate(torch.ones(EXAMPLES, net.latent), targets), targets)
        ),
    }
    for part, loss in losses.items():
        optimizer, initial = torch.optim.Adam(part.parameters(), lr=0.001), loss().item()
        for _ in range(steps):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
        assert 0 <= loss().item() < initial < float("inf")


@pytest.mark.parametrize("data", sorted({*DATA} - {*SAME_SHAPES}))
@pytest.mark.parametrize("model", MODELS)
def test_a_model_learns_one_batch_or_rejects_the_data(model, data):
    torch.manual_seed(0)
    spec = get_spec(data)
    net = make_net(model, spec)
    if isinstance(net, str):
        assert net.startswith(f"model '{model}' needs ")
        assert f"; data '{data}' has " in net
        return
    inputs, targets = random_batch(spec)
    if get_task(model) == "Adversarial":
        check_adversarial(net, inputs)
        return
    assert net(inputs).shape == (EXAMPLES, spec.output_size)
    initial, final = fit(net, make_objective(spec), inputs, targets)
    assert 0 <= final < initial < float("inf")


@pytest.mark.parametrize("data", SAME_SHAPES)
def test_data_that_are_not_trained_with_each_model_have_the_sizes_of_mnist(data):
    specs = [get_spec(name) for name in (data, "mnist")]
    assert len({(spec.kind, spec.shape, spec.target, spec.output_size) for spec in specs}) == 1


@pytest.mark.parametrize("data", DATA)
def test_data_have_the_name_of_their_file(data):
    spec = get_spec(data)
    assert spec.name == data
    if spec.target == "classification":
        assert spec.output_size == (1 if len(spec.class_names) == 2 else len(spec.class_names))


def compatible_models(data):
    return {model for model in MODELS if not isinstance(make_net(model, get_spec(data)), str)}


def test_images_fit_all_networks_and_vectors_all_but_the_cnn():
    assert {"linear", "mlp", "cnn"} <= compatible_models("mnist") & compatible_models("digits")
    assert {"linear", "mlp"} <= compatible_models("xor") & compatible_models("line")
    assert "cnn" not in compatible_models("xor") | compatible_models("line")


@pytest.mark.slow
def test_each_data_set_has_a_compatible_model():
    assert [data for data in DATA if not compatible_models(data)] == []
