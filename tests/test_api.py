"""The functions of the Python API: configure, train, test, load and predict."""

import logging
import subprocess
import sys

import pytest
import torch
from omegaconf import OmegaConf

import trainer
from trainer.core.errors import UserError

QUICK = ["model=linear", "trainer.max_epochs=1", "callbacks=[checkpoint]", "logger=none"]


@pytest.fixture
def cwd(tmp_path, monkeypatch):
    """Work in an empty directory, and close the log files of its runs afterwards."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers = root.handlers[:]
    yield tmp_path
    for handler in {*root.handlers} - {*handlers}:
        handler.close()
        root.removeHandler(handler)


def test_a_config_is_composed_changed_and_trained_and_the_model_loaded(cwd):
    config = trainer.configure(*QUICK)
    config.trainer.max_epochs = 2
    first = trainer.train(config)
    second = trainer.train(config)
    assert first.directory != second.directory
    assert first.directory.parent == cwd / "outputs/digits_linear"
    assert first.metrics == second.metrics
    assert first.checkpoint == first.directory / "checkpoints/best.ckpt"
    assert config.trainer.max_epochs == 2

    model = trainer.load(first.directory)
    assert model.config["trainer"]["max_epochs"] == 2
    assert model.spec.name == "digits"
    assert len(model.predict(torch.zeros(3, 1, 8, 8))) == 3

    tested = trainer.test(first.checkpoint, "hydra.run.dir=tested")
    assert tested.metrics["test/accuracy"] == first.metrics["test/accuracy"]
    assert tested.directory == cwd / "tested"


def test_train_accepts_overrides(cwd):
    assert trainer.train(*QUICK, "data=xor", "hydra.run.dir=mine").directory == cwd / "mine"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["modle=cnn"], "modle: no such key; did you mean 'model'"),
        (["model=cn"], "did you mean 'cnn'"),
        (["trainer.max_epochs=x"], "trainer.max_epochs: 'x' is not int or null"),
        (["model=cnn", "data=line"], "model 'cnn' needs images"),
    ],
)
def test_config_errors_are_user_errors(overrides, message, cwd):
    with pytest.raises(UserError, match=message):
        trainer.train(*overrides)


def test_a_directory_in_use_is_a_user_error(cwd):
    (cwd / "mine").mkdir()
    (cwd / "mine/result.json").touch()
    with pytest.raises(UserError, match=r"^hydra.run.dir: '.*mine' is not empty"):
        trainer.train(*QUICK, "hydra.run.dir=mine")


def test_a_config_and_overrides_are_not_mixed(cwd):
    with pytest.raises(UserError, match=r"^trainer\.train: cannot combine a config with other arguments"):
        trainer.train(trainer.configure(), "model=cnn")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [torch.nn.Linear(1, 1), "data=xor"],
            "trainer.train: cannot use an argument of type Linear; expected a config",
        ),
        ([{"data": "xor"}], "trainer.train: cannot use an argument of type dict; expected a config"),
        ([["data=xor"]], "trainer.train: cannot use an argument of type list; expected a config"),
        (
            [OmegaConf.create({"seed": 1})],
            "the config has no task_name, tags, train, .* expected a config of trainer.configure",
        ),
        ([OmegaConf.create({}), torch.nn.Linear(1, 1)], "trainer.train: cannot combine a config with other arguments"),
    ],
)
def test_nothing_is_trained_if_an_argument_would_have_no_effect(arguments, message, cwd):
    with pytest.raises(UserError, match=message):
        trainer.train(*arguments)
    assert [*cwd.iterdir()] == []


@pytest.mark.parametrize("name", ["configure", "test", "load"])
def test_every_function_refuses_an_argument_of_a_type_that_it_cannot_use(name, cwd):
    with pytest.raises(UserError, match=rf"^trainer.{name}: cannot use an argument of type dict; expected"):
        getattr(trainer, name)({"data": "xor"})


def test_overrides_of_a_test_must_be_text(cwd):
    with pytest.raises(UserError, match=r"^trainer.test: cannot use an argument of type int; expected overrides"):
        trainer.test("best.ckpt", 3)


def test_a_preprocessing_option_is_refused_for_a_tensor(cwd):
    model = trainer.load(trainer.train(*QUICK).directory)
    with pytest.raises(UserError, match=r"^fit: invalid option for a tensor"):
        model.predict(torch.zeros(3, 1, 8, 8), fit="pad")


def test_importing_trainer_imports_nothing_heavy():
    code = "import sys, trainer; assert not {'torch', 'hydra', 'trainer.api'} & {*sys.modules}; trainer.configure"
    code += "; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'trainer' has no attribute 'nothing'"):
        _ = trainer.nothing
