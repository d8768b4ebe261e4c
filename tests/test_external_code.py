"""Training of user code of many shapes from YAML alone: the modules of tests/external_project."""

import json
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import trainer
from trainer.core.metric_name import make_tensorboard_tag

EXTERNAL = Path(__file__).with_name("external_project")
pytestmark = [
    pytest.mark.filterwarnings("ignore:You passed in a `val_dataloader` but have no `validation_step`"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
]
SHORT = ("trainer.max_epochs=2", "trainer.log_every_n_steps=2")
TRUST = "--trust=external_project,torchvision,stop"
# metrics that each experiment logs, in TensorBoard and in result.json
LOGGED = {
    "autoencoder": {"train_loss", "val_loss"},
    "backbone": {"train_loss_step", "train_loss_epoch", "valid_loss_epoch", "test_loss"},
    "datasets": {"train_loss_step", "train_loss_epoch", "valid_loss_epoch"},
    "dict_batches": {"train/loss", "val/loss", "test/loss", "test/acc"},
    "gan": {"g_loss", "d_loss"},
    "graphs": {"train_loss", "val_loss", "test_loss"},
    "language_model": {"train_loss", "val_loss", "test_loss"},
    "loaders": {"train_loss_step", "valid_loss_epoch", "test_loss"},
    "plain_tensors": {"train_loss"},
    "stream": {"train_loss"},
    "template": {"train/loss", "train/acc", "val/loss", "val/acc", "val/acc_best", "test/loss", "test/acc"},
    "template_with_groups": {"train/loss", "val/acc_best", "test/acc"},
    "torchvision_network": {"train/loss", "val/loss", "val/accuracy", "test/loss", "test/accuracy"},
    "two_validation_loaders": {"train_loss_epoch", "val/loss/dataloader_idx_0", "val/loss/dataloader_idx_1"},
}
STOP = """
import signal
from pathlib import Path

from pytorch_lightning import Callback


class Stop(Callback):
    affects_training = False

    def on_train_epoch_end(self, trainer, pl_module):
        if Path("stop").exists():
            Path("stop").unlink()
            signal.raise_signal(signal.SIGTERM)
"""


SLOW_EXPERIMENTS = ("backbone", "graphs", "plain_tensors", "stream", "template", "dict_batches")


def list_experiments(*, slow=("autoencoder", "torchvision_network", "two_validation_loaders", *SLOW_EXPERIMENTS)):
    """Return all experiments of the external project as parameters."""
    names = sorted(file.stem for file in (EXTERNAL / "experiments").glob("*.yaml"))
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in slow)) for name in names]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a working directory with the experiments of the external project, whose modules can be imported."""
    shutil.copytree(EXTERNAL / "experiments", tmp_path / "experiments")
    monkeypatch.syspath_prepend(EXTERNAL / "src")
    monkeypatch.setenv("PYTHONPATH", str(EXTERNAL / "src"), prepend=":")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load_weights(run):
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def assert_equal_weights(first, second):
    a, b = load_weights(first), load_weights(second)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def read_scalars(run):
    names = set()
    for file in (run / "tensorboard").glob("events*"):
        names |= {*EventAccumulator(str(file)).Reload().Tags()["scalars"]}
    return names


@pytest.mark.parametrize("name", list_experiments())
def test_user_code_trains_from_yaml_with_the_same_weights_as_with_the_loop_of_lightning(name, project, command):
    outcome = command("check", f"experiment={name}", *SHORT)
    assert outcome.code == 0, outcome.err
    assert "no errors; a step of" in outcome.out
    fast = trainer.train(f"experiment={name}", *SHORT)
    plain = trainer.train(f"experiment={name}", *SHORT, "~callbacks.fast_loop")
    assert json.loads((fast.directory / "result.json").read_text())["state"] == "finished"
    assert_equal_weights(fast.directory, plain.directory)
    assert fast.metrics == plain.metrics
    assert fast.metrics.keys() >= LOGGED[name]
    assert read_scalars(fast.directory) >= {*map(make_tensorboard_tag, LOGGED[name])}


def test_a_module_and_a_data_module_are_named_on_the_command_line(project, command):
    module = ("model=custom", "model._target_=external_project.images.AutoEncoder", "+model.hidden_dim=4")
    data = ("data=custom", "data._target_=external_project.images.ImagesDataModule", "+data.batch_size=16")
    outcome = command(*module, *data, *SHORT)
    assert outcome.code == 0, outcome.err
    [run] = outcome.runs
    assert load_weights(run)["encoder.0.weight"].shape == (4, 64)


def test_data_sets_are_named_on_the_command_line(project, command):
    parts = [
        f"data.{stage}={{_target_: external_project.images.Images, size: 16}}" for stage in ("train", "val", "test")
    ]
    outcome = command(
        "model=custom", "model._target_=external_project.images.BackboneClassifier", "data=datasets", *parts
    )
    assert outcome.code == 0, outcome.err
    [run] = outcome.runs
    assert "test_loss" in json.loads((run / "result.json").read_text())["metrics"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "key", "weight"),
    [
        ("autoencoder", "+model.hidden_dim", "encoder.0.weight"),
        ("template", "model.net.hidden_size", "net.model.0.weight"),
    ],
)
def test_an_argument_of_user_code_is_swept(name, key, weight, project, command):
    outcome = command("-m", f"experiment={name}", f"{key}=4,8", *SHORT)
    assert outcome.code == 0, outcome.err
    assert [len(load_weights(run)[weight]) for run in outcome.runs] == [4, 8]


@pytest.mark.slow
@pytest.mark.parametrize("name", list_experiments())
def test_a_run_of_user_code_that_stops_after_an_epoch_resumes_with_equal_weights(name, project, command):
    (project / "stop.py").write_text(STOP)
    overrides = [f"experiment={name}", *SHORT, "+callbacks.stop._target_=stop.Stop"]
    assert command(*overrides, "hydra.run.dir=complete").code == 0
    (project / "stop").touch()
    assert command(*overrides, "hydra.run.dir=stopped").code == 128 + signal.SIGTERM
    assert json.loads((project / "stopped/result.json").read_text())["state"] == "interrupted"
    resumed = command("resume", "stopped", TRUST)
    assert resumed.code == 0, resumed.err
    assert_equal_weights(project / "complete", project / "stopped")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["template", "gan"])
def test_the_replay_of_user_code_is_identical(name, project, process):
    assert process(f"experiment={name}", *SHORT, "hydra.run.dir=first").code == 0
    outcome = process("replay", "first", TRUST)
    assert outcome.code == 0, outcome.out + outcome.err
    assert re.search(r"^first and its replay .*: identical$", outcome.out, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["template", "backbone", "torchvision_network"])
def test_the_checkpoint_of_user_code_is_tested_again(name, project, process):
    assert process(f"experiment={name}", *SHORT, "hydra.run.dir=first").code == 0
    outcome = process("test", "first", TRUST)
    assert outcome.code == 0, outcome.err
    [tested] = outcome.runs
    first, second = (json.loads((run / "result.json").read_text())["metrics"] for run in (project / "first", tested))
    measured = [name for name in second if name.startswith("test")]
    assert measured
    assert all(second[name] == first[name] for name in measured)
