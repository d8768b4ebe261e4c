"""Choices: which files there are, and what their comments say."""

from pathlib import Path

import pytest

from trainer.config.introspection.compatibility import fitting
from trainer.config.introspection.experiments import overridden, settings_of, usual_choices
from trainer.config.introspection.fields import GIVEN, parts_of
from trainer.config.introspection.group_options import choice_named, choices, comments_of

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("group", choices())
def test_every_choice_says_what_it_is_and_all_its_fields_are_known(group):
    for choice in choices()[group].values():
        assert choice.summary.partition(":")[0], choice.file
        assert group != "experiment" or {"Source", "Command", "Reached"} <= choice.claims.keys(), choice.file
        if choice.is_global:
            told = [each for each in settings_of(choice) if "." in each.key and not each.key.startswith("hydra.")]
        else:
            told = [field for part in parts_of(choice) for field in part.fields]
        assert [each.key for each in told if not each.type and not each.doc] == [], choice.file


def test_a_users_files_join_in_but_do_not_replace_ours(here):
    (here / "conf/model").mkdir(parents=True)
    (here / "conf/model/mine.yaml").write_text("# Mine: a net.\nnet: {}\n")
    (here / "conf/model/cnn.yaml").write_text("# Hidden.\nnet: {}\n")
    (here / "experiments").mkdir()
    (here / "experiments/mine.yaml").write_text(
        "# yaml-language-server: $schema=../a.json\n# One\n# and two.\n#\n# Reached: 3 %\n#   of 4\nseed: 3\n"
    )
    model, experiment = choices()["model"], choices()["experiment"]
    assert (model["mine"].summary, model["mine"].yours) == ("Mine: a net.", True)
    assert (model["cnn"].yours, model["cnn"].file) == (False, REPOSITORY / "conf/model/cnn.yaml")
    assert experiment["mine"].summary == "One and two."
    assert experiment["mine"].claims == {"Reached": "3 % of 4"}


def test_a_comment_belongs_to_the_key_in_front_of_it():
    text = "a: 1 # one\nb: # two\n  c: [1, 2] # three\n  d: 'x # y'\ne:\n  - 1 # of an item\nf: 2 # last\n"
    assert comments_of(text) == {"a": "one", "b": "two", "b.c": "three", "f": "last"}


def test_a_field_has_key_type_default_and_documentation():
    task, net = parts_of(choice_named("model/cnn"))
    assert (task.key, task.given) == ("model.task", ("net", "objective", "optimizer", "scheduler"))
    assert (net.key, net.target, net.given) == ("model.net", "trainer.model.cnn.CNN", ("spec",))
    field = next(field for field in net.fields if field.key == "model.net.activation")
    assert field.default == "relu"
    assert field.allowed == ["relu", "leaky_relu", "elu", "gelu", "sigmoid", "tanh"]
    assert field.doc == "What follows each block and each fully connected layer."


def test_an_argument_that_the_file_does_not_list_has_a_plus_and_the_default_of_the_signature():
    [part] = parts_of(choice_named("trainer/ddp"))
    fields = {field.key: field for field in part.fields}
    assert fields["trainer.devices"].default == 2  # its own
    assert fields["trainer.max_epochs"].default == 10  # of trainer/default, which it builds on
    assert fields["+trainer.limit_train_batches"].default is None
    assert fields["+trainer.limit_train_batches"].type == "int or float or null"
    assert not {"+trainer.callbacks", "+trainer.logger"} & fields.keys()  # the run gives them


def test_the_run_gives_lightnings_trainer_what_is_said():
    source = (REPOSITORY / "src/trainer/training/run.py").read_text()
    call = source[source.index("build_trainer(") :].partition("**")[0]
    assert GIVEN["pytorch_lightning.Trainer"] == {
        line.partition("=")[0].strip() for line in call.splitlines() if "=" in line
    }


def test_an_experiment_tells_what_it_sets_and_what_it_would_be_without():
    experiment = choice_named("experiment/mnist_cnn")
    assert overridden(experiment) == {"data": "mnist", "model": "cnn", "optimizer": "adamw", "scheduler": "onecycle"}
    settings = {each.key: each for each in settings_of(experiment)}
    assert (settings["model.net.channels"].value, settings["model.net.channels"].default) == ([32, 64, 128], [32, 64])
    assert settings["callbacks.checkpoint.mode"].default == "auto"
    assert usual_choices()["logger"] == ["tensorboard", "csv"]


def test_a_value_that_is_a_mapping_stays_whole():
    settings = {each.key: each.value for each in settings_of(choice_named("experiment/resnet_transfer"))}
    assert settings["callbacks.unfreezing.stages"][5] == ["layer4"]


def test_what_fits_is_what_can_really_be_built():
    import torch
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from trainer.core.errors import MismatchError

    said, built = set(), set()
    given = {"table": {"path": "my.csv", "features": 3}, "image_folder": {"path": "mine", "synthetic": True}}
    data = choices()["data"]
    specs = {}
    for name, choice in data.items():
        config = OmegaConf.create({"seed": 1, "data": choice.content})
        specs[name] = instantiate(config.data, _convert_="all", **given.get(name, {})).spec
    for model, choice in choices()["model"].items():
        fit, unknown = fitting(choice, [*data.values()])
        assert unknown == []
        said |= {(model, name) for name in fit}
        make = instantiate(OmegaConf.load(choice.file).net, _convert_="all")
        for name, spec in specs.items():
            try:
                with torch.device("meta"):
                    make(spec)
                built.add((model, name))
            except MismatchError:
                pass
    assert said == built
    assert {(other, name) for name in data for other in fitting(data[name], [*choices()["model"].values()])[0]} == built


def test_a_network_that_does_not_say_what_it_takes_is_said_to_be_unknown(here, monkeypatch):
    monkeypatch.syspath_prepend(here)
    (here / "blind.py").write_text("class Net:\n    def __init__(self, spec):\n        spec.require('net', *KINDS)\n")
    (here / "conf/model").mkdir(parents=True)
    (here / "conf/model/blind.yaml").write_text("net: {_target_: blind.Net, _partial_: true}\n")
    assert fitting(choices()["data"]["xor"], [choice_named("model/blind")]) == ([], ["blind"])
    assert fitting(choice_named("model/blind"), [choices()["data"]["xor"]]) == ([], ["xor"])
