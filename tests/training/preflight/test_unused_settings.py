"""Rejection of settings without effect before the run, with the reason."""

import json

import pytest

MINE = '''
import torch
from pytorch_lightning import LightningModule
from torch.nn.functional import cross_entropy

from trainer.task.supervised import Supervised


class OwnOptimizer(Supervised):
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class OwnSchedule(Supervised):
    def configure_optimizers(self):
        return self.make_optimizer(self.parameters())


class NoPenalty(Supervised):
    def training_step(self, batch, batch_idx):
        inputs, targets = batch
        return self.objective.loss(self.net(inputs), targets)


class Own(LightningModule):
    """Uses the network, but no other argument."""

    def __init__(self, net, *_):
        super().__init__()
        self.net = net

    def training_step(self, batch, batch_idx):
        inputs, targets = batch
        return cross_entropy(self.net(inputs), targets)

    def validation_step(self, batch, batch_idx):
        inputs, targets = batch
        self.log("val/loss", cross_entropy(self.net(inputs), targets))

    test_step = validation_step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class OwnNetwork(Own):
    def __init__(self, *_):
        super().__init__(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)))


class Layers(Own):
    """Calls the layers of the network separately."""

    def __init__(self, net, *_):
        super().__init__(net)

    def training_step(self, batch, batch_idx):
        inputs, targets = batch
        return cross_entropy(self.net.layers(inputs.flatten(1)), targets)
'''
SHORT = ("data=digits", "model=mlp", "trainer.max_epochs=1")


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)


@pytest.mark.slow
@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("task", "override", "reason"),
    [
        ("OwnOptimizer", "optimizer.lr=0.1", "mine.OwnOptimizer configures its own optimizer, or none"),
        pytest.param(
            "OwnOptimizer",
            "scheduler=cosine",
            "mine.OwnOptimizer configures its own scheduler, or none",
            marks=pytest.mark.slow,
        ),
        ("OwnSchedule", "scheduler=cosine", "mine.OwnSchedule configures its own scheduler, or none"),
        ("NoPenalty", "objective.penalty.l2=0.1", "mine.NoPenalty does not add the penalty to its loss"),
        ("Own", "optimizer=sgd", "mine.Own configures its own optimizer, or none"),
        ("Own", "objective.label_smoothing=0.1", "mine.Own does not use the objective of the config"),
        ("OwnNetwork", "model.net.hidden=[3]", "mine.OwnNetwork does not use the network of the config"),
        ("OwnNetwork", "compile=true", "mine.OwnNetwork does not use the network of the config"),
        (
            "Layers",
            "compile=true",
            "mine.Layers calls parts of the network, but only calls of the whole network are compiled",
        ),
    ],
)
def test_a_setting_that_the_task_does_not_use_is_refused(task, override, reason, command):
    overrides = (*SHORT, f"model._target_=mine.{task}")
    done = command("check", *overrides, override, "--json")
    key = override.partition("=")[0]
    [diagnostic] = json.loads(done.out)["diagnostics"]
    expected = {"key": key, "problem": f"has no effect: {reason}", "suggestion": "leave it out", "override": override}
    assert diagnostic.items() >= {**expected, "severity": "error"}.items()
    assert json.loads(command("check", *overrides, "--json").out)["ok"]  # valid without the override


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("task", ["OwnSchedule", "NoPenalty"])
def test_a_setting_that_the_task_uses_is_accepted(task, command):
    done = command("check", *SHORT, f"model._target_=mine.{task}", "optimizer.lr=0.1", "compile=true")
    assert done.code == 0, done.out


def test_training_examples_are_refused_if_the_task_does_not_measure_them(command):
    overrides = ("check", "data=digits", "model=gan")
    done = command(*overrides, "objective.training_examples=5", "--json")
    [diagnostic] = json.loads(done.out)["diagnostics"]
    assert diagnostic["key"] == "objective.training_examples"
    assert "has no effect: trainer.task.adversarial.Adversarial with Digits logs no metrics" in diagnostic["problem"]
    assert command(*overrides).code == 0
    assert command("check", "data=digits", "model=mlp", "objective.training_examples=5").code == 0


@pytest.mark.usefixtures("mine")
def test_a_sweep_over_a_learning_rate_that_the_task_does_not_use_is_refused(command):
    done = command("-m", *SHORT, "model._target_=mine.Own", "optimizer.lr=0.1,0.01")
    assert done.code == 1
    assert "(command line: optimizer.lr=0.1)  (job 0)\n" in done.err
    assert "(command line: optimizer.lr=0.01)  (job 1)\n" in done.err


@pytest.mark.usefixtures("mine")
def test_a_setting_in_a_user_experiment_is_refused_with_its_location(command, tmp_path):
    (tmp_path / "experiments").mkdir()
    text = "optimizer:\n  lr: 0.1\nmodel:\n  _target_: mine.Own\n"
    (tmp_path / "experiments/own.yaml").write_text(text)
    done = command("experiment=own", *SHORT)
    assert "optimizer.lr: has no effect: mine.Own configures its own optimizer" in done.err
    assert "(in experiments/own.yaml:2)" in done.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+trainer.callbacks=[]", "trainer.callbacks: has no effect: the run sets it; choose or add one: callbacks="),
        ("+trainer.logger=true", "trainer.logger: has no effect: the run sets it; choose or add one: logger="),
        ("+trainer.default_root_dir=a", "trainer.default_root_dir: has no effect: the run sets it; hydra.run.dir="),
        (
            "+trainer.gradient_clip_algorithm=value",
            "trainer.gradient_clip_algorithm: has no effect without trainer.gradient_clip_val",
        ),
        ("objective.metrics=[f1]", "objective.metrics: no effect on adversarial training; expected the default"),
    ],
)
def test_settings_that_the_run_sets_are_refused(override, message, command):
    overrides = ("data=digits", "model=gan") if "metrics" in override else SHORT
    done = command(*overrides, override)
    assert done.code == 1
    assert message in done.err


def test_checkpoints_of_lightning_are_saved_if_they_are_enabled_without_a_callback(command):
    done = command(*SHORT, "callbacks=[fast_loop]", "+trainer.enable_checkpointing=true", "hydra.run.dir=run")
    assert done.code == 0, done.err
    assert [*(done.directory / "run").rglob("*.ckpt")]


@pytest.mark.slow
def test_callbacks_without_a_checkpoint_cause_a_warning_and_the_table_names_the_tested_weights(command):
    done = command(*SHORT, "callbacks=early_stopping", "callbacks.early_stopping.patience=0", "trainer.max_epochs=2")
    assert "callbacks: no checkpoint is saved, so the weights of the last step are tested" in done.out
    assert "callbacks=[default,...] adds to the default callbacks" in done.out
    assert "(train: last logged; val: last epoch; test: last weights)" in done.out


def test_settings_of_a_sweep_cause_a_warning_in_a_single_run(command):
    done = command(*SHORT, "+trainer.fast_dev_run=true", "sweep.seeds=3", "sweep.retries=1")
    expected = "warning: sweep.seeds, sweep.retries: no effect in a single run; start a sweep with: trainer -m\n"
    assert expected in done.err


@pytest.mark.usefixtures("mine")
def test_a_network_in_the_model_file_of_a_user_is_not_ignored(command, tmp_path):
    (tmp_path / "conf/model").mkdir(parents=True)
    file = tmp_path / "conf/model/own_network.yaml"
    file.write_text("_target_: mine.OwnNetwork\nnet:\n  _target_: torch.nn.Linear\n  in_features: 64\n")
    done = command("data=digits", "model=own_network", "trainer.max_epochs=1")
    assert done.code == 1
    assert "model.net: has no effect: mine.OwnNetwork does not use the network of the config" in done.err
    assert "conf/model/own_network.yaml" in done.err
