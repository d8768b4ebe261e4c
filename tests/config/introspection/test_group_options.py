"""Tests of choices, their comments, fields and compatibility."""

from pathlib import Path

import pytest

from trainer.config.introspection.compatibility import find_compatible
from trainer.config.introspection.experiments import get_overridden_choices, list_settings, load_default_choices
from trainer.config.introspection.fields import RUNTIME_ARGUMENTS, describe_nodes
from trainer.config.introspection.group_options import get_choice, load_choices, parse_comments

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def cwd(tmp_path, monkeypatch):
    """Change to an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("group", load_choices())
def test_every_choice_has_a_summary_and_documented_fields(group):
    for choice in load_choices()[group].values():
        assert choice.summary.partition(":")[0], choice.file
        assert group != "experiment" or {"Source", "Command", "Reached"} <= choice.metadata.keys(), choice.file
        if choice.is_global:
            fields = [item for item in list_settings(choice) if "." in item.key and not item.key.startswith("hydra.")]
        else:
            fields = [field for part in describe_nodes(choice) for field in part.fields]
        assert [item.key for item in fields if not item.type and not item.doc] == [], choice.file


def test_user_files_are_added_but_do_not_replace_packaged_ones(cwd):
    (cwd / "conf/model").mkdir(parents=True)
    (cwd / "conf/model/mine.yaml").write_text("# Mine: a net.\nnet: {}\n")
    (cwd / "conf/model/cnn.yaml").write_text("# Hidden.\nnet: {}\n")
    (cwd / "experiments").mkdir()
    (cwd / "experiments/mine.yaml").write_text(
        "# yaml-language-server: $schema=../a.json\n# One\n# and two.\n#\n# Reached: 3 %\n#   of 4\nseed: 3\n"
    )
    model, experiment = load_choices()["model"], load_choices()["experiment"]
    assert (model["mine"].summary, model["mine"].is_user_defined) == ("Mine: a net.", True)
    assert (model["cnn"].is_user_defined, model["cnn"].file) == (False, REPOSITORY / "conf/model/cnn.yaml")
    assert experiment["mine"].summary == "One and two."
    assert experiment["mine"].metadata == {"Reached": "3 % of 4"}


def test_a_comment_belongs_to_the_preceding_key():
    text = "a: 1 # one\nb: # two\n  c: [1, 2] # three\n  d: 'x # y'\ne:\n  - 1 # of an item\nf: 2 # last\n"
    assert parse_comments(text) == {"a": "one", "b": "two", "b.c": "three", "f": "last"}


def test_a_field_has_key_type_default_and_documentation():
    task, net = describe_nodes(get_choice("model/cnn"))
    assert (task.key, task.given) == ("model", ("objective", "optimizer", "scheduler"))
    assert (net.key, net.target, net.given) == ("model.net", "trainer.model.cnn.CNN", ("spec",))
    field = next(field for field in net.fields if field.key == "model.net.activation")
    assert field.default == "relu"
    assert field.allowed == ["relu", "leaky_relu", "elu", "gelu", "sigmoid", "tanh"]
    assert field.doc == "Activation after each convolution and each fully connected layer."


def test_an_unlisted_argument_has_a_plus_and_the_default_of_the_signature():
    [part] = describe_nodes(get_choice("trainer/ddp"))
    fields = {field.key: field for field in part.fields}
    assert fields["trainer.devices"].default == 2  # its own
    assert fields["trainer.max_epochs"].default == 10  # from trainer/default, which it extends
    assert fields["+trainer.limit_train_batches"].default is None
    assert fields["+trainer.limit_train_batches"].type == "int or float or null"
    assert not {"+trainer.callbacks", "+trainer.logger"} & fields.keys()  # passed at run time


def test_runtime_arguments_of_lightnings_trainer_match_the_code():
    source = (REPOSITORY / "src/trainer/training/run.py").read_text()
    call = source[source.index("build_trainer(") :].partition("**")[0]
    assert RUNTIME_ARGUMENTS["pytorch_lightning.Trainer"] == {
        line.partition("=")[0].strip() for line in call.splitlines() if "=" in line
    }


def test_settings_of_an_experiment_have_the_replaced_values():
    experiment = get_choice("experiment/mnist_cnn")
    assert get_overridden_choices(experiment) == {
        "data": "mnist",
        "model": "cnn",
        "optimizer": "adamw",
        "scheduler": "onecycle",
    }
    settings = {item.key: item for item in list_settings(experiment)}
    assert (settings["model.net.channels"].value, settings["model.net.channels"].default) == ([32, 64, 128], [32, 64])
    assert settings["callbacks.checkpoint.mode"].default == "auto"
    assert load_default_choices()["logger"] == ["tensorboard", "csv"]


def test_a_value_that_is_a_mapping_is_not_flattened():
    settings = {item.key: item.value for item in list_settings(get_choice("experiment/resnet_transfer"))}
    assert settings["callbacks.unfreezing.stages"][5] == ["layer4"]


def test_compatible_pairs_are_those_that_can_be_built():
    import torch
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from trainer.core.errors import MismatchError

    declared, built = set(), set()
    required_values = {
        "table": {"path": "my.csv", "features": 3},
        "image_folder": {"path": "mine", "synthetic": True},
        "texts": {"path": "my.csv", "synthetic": True},
    }
    data = load_choices()["data"]
    data = {name: choice for name, choice in data.items() if not choice.is_template}
    specs = {}
    for name, choice in data.items():
        if name == "arrays":
            continue
        config = OmegaConf.create({"seed": 1, "data": choice.content})
        specs[name] = instantiate(config.data, _convert_="all", **required_values.get(name, {})).spec
    for model, choice in load_choices()["model"].items():
        if choice.is_template:
            continue
        compatible, unknown = find_compatible(choice, [*data.values()])
        assert unknown == ["arrays"]  # their kind depends on the file
        declared |= {(model, name) for name in compatible}
        make = instantiate(OmegaConf.load(choice.file).net, _convert_="all")
        for name, spec in specs.items():
            try:
                with torch.device("meta"):
                    make(spec)
                built.add((model, name))
            except MismatchError:
                pass
    assert declared == built
    assert {
        (other, name) for name in data for other in find_compatible(data[name], [*load_choices()["model"].values()])[0]
    } == built


def test_a_network_without_literal_kinds_is_unknown(cwd, monkeypatch):
    monkeypatch.syspath_prepend(cwd)
    (cwd / "blind.py").write_text("class Net:\n    def __init__(self, spec):\n        spec.require('net', *KINDS)\n")
    (cwd / "conf/model").mkdir(parents=True)
    (cwd / "conf/model/blind.yaml").write_text("net: {_target_: blind.Net, _partial_: true}\n")
    assert find_compatible(load_choices()["data"]["xor"], [get_choice("model/blind")]) == ([], ["blind"])
    assert find_compatible(get_choice("model/blind"), [load_choices()["data"]["xor"]]) == ([], ["xor"])
