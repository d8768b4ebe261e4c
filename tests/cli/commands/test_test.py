"""`trainer test`: the table and the numbers of the run, from its checkpoint alone."""

import json
import shutil

import pytest

from trainer.api import config_of_test

QUICK = ["trainer.max_epochs=1", "model=linear"]


def test_a_checkpoint_alone_gives_the_numbers_of_its_run_in_a_directory_of_its_own(command, tmp_path):
    run = command(*QUICK, "hydra.run.dir=first", "task_name=mine")
    assert run.code == 0, run.err
    said = json.loads((tmp_path / "first/result.json").read_text())["metrics"]
    shutil.move("first/checkpoints/best.ckpt", "a.ckpt")
    shutil.rmtree("first")
    outcome = command("test", "a.ckpt")
    assert outcome.code == 0, outcome.err
    assert "│ accuracy │" in outcome.out
    assert not (tmp_path / "first").exists()
    [directory] = [file.parent for file in tmp_path.glob("outputs/mine/*/result.json")]
    result = json.loads((directory / "result.json").read_text())
    tested = {name: value for name, value in said.items() if name.startswith("test/")}
    assert result["metrics"] == pytest.approx(tested)
    assert (result["state"], result["steps"]) == ("finished", 0)
    assert (directory / "metrics.csv").is_file()
    assert (directory / ".hydra/config.yaml").is_file()


def test_values_can_be_others_and_a_run_directory_means_its_best(command, tmp_path):
    assert command(*QUICK, "test=false", "hydra.run.dir=first").code == 0
    outcome = command("test", "first", "data.test_size=100", "hydra.run.dir=second")
    assert outcome.code == 0, outcome.err
    config = (tmp_path / "second/config.yaml").read_text()
    assert "test_size: 100" in config
    assert "first/checkpoints/best.ckpt" in config
    assert f"save_dir: {tmp_path / 'second'}" in config


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "test: name a checkpoint or a run directory"),
        (["data.dir=x"], "test: name a checkpoint or a run directory"),
        (["nowhere"], "no checkpoint and no run directory 'nowhere'"),
        (["first", "data.test_sise=3"], "data.test_sise: no such key; did you mean 'test_size'?"),
        (["first", "data.test_size=x"], "data.test_size: 'x' is not int  (command line: data.test_size=x)"),
        (["first", "hydra.run.dir=first"], "hydra.run.dir: 'first' is not empty"),
        (["first", "model.net.bias=false"], "ckpt_path: the checkpoint is of another network"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(words, message, command):
    if "first" in words:
        assert command(*QUICK, "test=false", "hydra.run.dir=first").code == 0
    outcome = command("test", *words)
    assert outcome.code == 1
    assert message in outcome.err
    assert "Traceback" not in outcome.err


def test_data_and_devices_are_those_of_this_machine(monkeypatch, tmp_path):
    config = {
        "data": {"_target_": "x", "dir": "/there/data"},
        "trainer": {"accelerator": "gpu", "devices": 4, "strategy": "ddp"},
        "logger": {"csv": {"save_dir": "/there/run"}, "other": "/there/running"},
        "callbacks": [{"dirpath": "/there/run/checkpoints"}],
    }
    monkeypatch.delenv("TRAINER_DATA_DIR", raising=False)
    made = config_of_test(config, "/there/run", tmp_path / "a.ckpt")
    assert made["data"]["dir"] == "/there/data"
    assert made["trainer"] == {"accelerator": "auto", "devices": 1, "strategy": "auto"}
    assert made["logger"] == {"csv": {"save_dir": "${hydra:runtime.output_dir}"}, "other": "/there/running"}
    assert made["callbacks"] == [{"dirpath": "${hydra:runtime.output_dir}/checkpoints"}]
    monkeypatch.setenv("TRAINER_DATA_DIR", "/here")
    assert config_of_test(config, "/there/run", tmp_path / "a.ckpt")["data"]["dir"] == "/here"
