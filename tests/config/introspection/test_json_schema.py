"""Tests of the JSON Schemas with all packaged files and with invalid files."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator
from omegaconf import OmegaConf

from trainer.config.introspection.group_options import load_choices
from trainer.config.introspection.json_schema import build_schemas

REPOSITORY = Path(__file__).resolve().parents[3]
CNN = "defaults: [{override /model: cnn}]\n"
NET = "_target_: trainer.task.supervised.Supervised\nnet: "
# group, content, invalid key; "" is the root, if it contains a key that is not allowed
INVALID = [
    ("data", "_target_: trainer.data.mnist.MNIST\nval_sze: 3", ""),
    ("data", "_target_: trainer.data.mnist.MNIST\nval_size: many", "val_size"),
    ("data", "_target_: trainer.data.mnist.MNIST\nval_size: 0.5", "val_size"),
    ("data", "_target_: trainer.data.mnist.MNIST\nmirrors: [1]", "mirrors"),
    ("data", "_target_: trainer.data.table.Table\ntarget: y", ""),  # path is missing
    ("data", "val_size: 3", ""),
    ("model", NET + "{_target_: trainer.model.cnn.CNN, _partial_: true, chanels: [3]}", "net"),
    ("model", NET + "{_target_: trainer.model.cnn.CNN, _partial_: true, spec: 3}", "net"),  # passed at run time
    ("model", NET + "{_target_: trainer.model.resnet.ResNet, _partial_: true, depth: 17}", "net.depth"),
    ("model", "net: {_target_: trainer.model.cnn.CNN, _partial_: true}", ""),
    ("optimizer", "_target_: torch.optim.Adam\n_partial_: true\nlr: fast", "lr"),
    ("optimizer", "_target_: torch.optim.Adam\n_partial_: true\nbetas: [0.9]", "betas"),
    ("optimizer", "_target_: torch.optim.Adam\n_partial_: maybe", "_partial_"),
    ("trainer", "defaults: [default]\nacelerator: cpu", ""),
    ("trainer", "_target_: pytorch_lightning.Trainer\nprecision: 17", "precision"),
    ("callbacks", "mine: {monitor: val/loss}", "mine"),
    ("callbacks", "mine: {_target_: pytorch_lightning.callbacks.EarlyStopping}", "mine"),  # monitor is missing
    (
        "objective",
        "_target_: trainer.task.objective.make_objective\npenalty: {_target_: trainer.task.losses.Penalty, l3: 1}",
        "penalty",
    ),
    ("experiment", "sead: 3", ""),
    ("experiment", "seed: three", "seed"),
    ("experiment", "tags: [1]", "tags"),
    ("experiment", "defaults: [{override /model: cnnn}]", "defaults.0"),
    ("experiment", "defaults: [{override /modle: cnn}]", "defaults.0"),
    ("experiment", "defaults: [{override /callbacks: [default, earlystopping]}]", "defaults.0"),
    ("experiment", CNN + "model: {net: {chanels: [3]}}", "model.net"),
    ("experiment", CNN + "model: {net: {activation: rel}}", "model.net.activation"),
    ("experiment", CNN + "model: {nett: {}}", "model"),
    ("experiment", "model: {net: {channels: [3]}}", "model.net"),  # the default model is mlp
    ("experiment", "callbacks: {chekpoint: {monitor: val/loss}}", "callbacks.chekpoint"),
    ("experiment", "callbacks: {checkpoint: {monitr: val/loss}}", "callbacks.checkpoint"),
    ("experiment", "objective: {penalty: {l3: 1}}", "objective.penalty"),
    ("experiment", "optimizer: {_target_: torch.optim.SGD, _partial_: true, betas: [0.9, 0.99]}", "optimizer"),
    ("experiment", "trainer: {max_epoch: 3}", "trainer"),
    ("config", "defaults: [{data: digit}]", "defaults.0"),
    ("debug", "trainer: {max_epochs: few}", "trainer.max_epochs"),
]
VALID = [
    ("data", "_target_: trainer.data.mnist.MNIST\nval_size: ${oc.env:SIZE}\nseed: ???\nmirrors: ['${a}']"),
    ("data", "_target_: somebody.elses.Data\nanything: 3"),
    ("model", NET + "{_target_: my_code.Net, _partial_: true, width: 3}\nmonitor: val/loss"),
    ("optimizer", "_target_: torch.optim.Adam\n_partial_: true\nlr: 1\nbetas: [0.5, '${b}']"),
    ("experiment", CNN + "model: {net: {channels: [3], dropout: 0}}"),
    ("experiment", "model: {net: {_target_: trainer.model.cnn.CNN, _partial_: true, channels: [3]}}"),
    ("experiment", "optimizer: {_target_: torch.optim.RMSprop, _partial_: true, alpha: 0.9}"),
    ("experiment", "callbacks: {mine: {_target_: my_code.Callback, x: 1}}\nhydra: {sweeper: {params: {seed: '1,2'}}}"),
    ("experiment", "defaults: [{override /hydra/launcher: joblib}, {override /logger: csv}, _self_]"),
    ("debug", "model: {net: {channels: [3]}}\ncallbacks: null"),  # of any model
    ("local", "data: {dir: /data}\ntrainer: {accelerator: cpu}"),
]


@pytest.fixture(scope="module")
def validators():
    schemas = {name: Draft7Validator(schema) for name, schema in build_schemas().items()}
    for validator in schemas.values():
        validator.check_schema(validator.schema)
    return schemas


def find_invalid_keys(validator, values):
    return {".".join(map(str, error.absolute_path)) for error in validator.iter_errors(values)}


@pytest.mark.slow
def test_every_packaged_file_is_valid(validators):
    files = {group: [choice.file for choice in members.values()] for group, members in load_choices().items()}
    files["config"] = [REPOSITORY / "conf/config.yaml"]
    assert sum(map(len, files.values())) == len(
        [*REPOSITORY.glob("conf/**/*.yaml"), *REPOSITORY.glob("experiments/*.yaml")]
    )
    invalid = {
        str(file): keys
        for group, members in files.items()
        for file in members
        if (keys := find_invalid_keys(validators[group], OmegaConf.to_container(OmegaConf.load(file))))
    }
    assert invalid == {}


@pytest.mark.parametrize(("group", "text", "key"), INVALID)
def test_an_invalid_file_is_rejected_at_the_key(group, text, key, validators):
    assert find_invalid_keys(validators[group], yaml.safe_load(text)) == {key}


@pytest.mark.parametrize(("group", "text"), VALID)
def test_valid_files_are_accepted(group, text, validators):
    assert find_invalid_keys(validators[group], yaml.safe_load(text)) == set()


def test_keys_have_descriptions_and_defaults(validators):
    digits = validators["data"].schema["definitions"]["trainer.data.digits.Digits"]["properties"]
    assert digits["val_size"]["description"] == "Number of images in validation and in test."
    assert digits["val_size"]["default"] == 180
    root = validators["experiment"].schema["properties"]
    assert (
        root["seed"]["description"]
        == "seed of weights, order and augmentation, 0 to 4294967295; always set and recorded"
    )


def test_user_classes_are_checked(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("class Net:\n    def __init__(self, spec, *, width: int = 3): ...\n")
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text(NET + "{_target_: mine.Net, _partial_: true}\n")
    (tmp_path / "conf/model/broken.yaml").write_text("a: [\n")
    (tmp_path / "conf/place").mkdir()
    (tmp_path / "conf/place/office.yaml").write_text("# @package _global_\noutputs: elsewhere\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    schemas = build_schemas()
    assert (
        find_invalid_keys(Draft7Validator(schemas["place"]), {"outputs": "there", "trainer": {"devices": 2}}) == set()
    )
    assert find_invalid_keys(Draft7Validator(schemas["place"]), {"outputs": 3}) == {"outputs"}
    validator = Draft7Validator(schemas["experiment"])
    defaults = "defaults: [{override /model: mine}]\n"
    assert find_invalid_keys(validator, yaml.safe_load(defaults + "model: {net: {width: 4}}")) == set()
    assert find_invalid_keys(validator, yaml.safe_load(defaults + "model: {net: {width: a}}")) == {"model.net.width"}
    assert find_invalid_keys(validator, yaml.safe_load(defaults + "model: {net: {widht: 4}}")) == {"model.net"}
