"""Tests of `trainer test`."""

import json
import shutil

import pytest

from trainer.api.train import build_test_config

QUICK = ["trainer.max_epochs=1", "model=linear"]


def test_a_checkpoint_file_reproduces_the_metrics_in_a_new_run_directory(command, tmp_path):
    run = command(*QUICK, "hydra.run.dir=first", "task_name=mine")
    assert run.code == 0, run.err
    metrics = json.loads((tmp_path / "first/result.json").read_text())["metrics"]
    shutil.move("first/checkpoints/best.ckpt", "a.ckpt")
    shutil.rmtree("first")
    outcome = command("test", "a.ckpt")
    assert outcome.code == 0, outcome.err
    assert "│ accuracy │" in outcome.out
    assert not (tmp_path / "first").exists()
    [directory] = [file.parent for file in tmp_path.glob("outputs/mine/*/result.json")]
    result = json.loads((directory / "result.json").read_text())
    tested = {name: value for name, value in metrics.items() if name.startswith("test/")}
    assert result["metrics"] == pytest.approx(tested)
    assert (result["state"], result["steps"]) == ("finished", 0)
    assert (directory / "metrics.csv").is_file()
    assert (directory / ".hydra/config.yaml").is_file()


def test_values_can_be_overridden_and_a_run_directory_selects_its_best_checkpoint(command, tmp_path):
    assert command(*QUICK, "test=false", "hydra.run.dir=first").code == 0
    outcome = command("test", "first", "data.test_size=100", "hydra.run.dir=second")
    assert outcome.code == 0, outcome.err
    config = (tmp_path / "second/config.yaml").read_text()
    assert "test_size: 100" in config
    assert "first/checkpoints/best.ckpt" in config
    assert f"save_dir: {tmp_path / 'second'}" in config


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "test: the following arguments are required: checkpoint"),
        (["data.dir=x"], "no checkpoint and no run directory 'data.dir=x'"),
        (["nowhere"], "no checkpoint and no run directory 'nowhere'"),
        (["first", "data.test_sise=3"], "data.test_sise: no such key; did you mean 'test_size'?"),
        (["first", "data.test_size=x"], "data.test_size: 'x' is not int  (command line: data.test_size=x)"),
        (["first", "hydra.run.dir=first"], "hydra.run.dir: 'first' is not empty"),
        (["first", "model.net.bias=false"], "ckpt_path: the checkpoint does not match the network"),
    ],
)
def test_errors_are_reported_without_a_traceback(arguments, message, command):
    if "first" in arguments:
        assert command(*QUICK, "test=false", "hydra.run.dir=first").code == 0
    outcome = command("test", *arguments)
    assert outcome.code == (2 if "argument" in message else 1)
    assert message in outcome.err
    assert "Traceback" not in outcome.err


def test_missing_data_have_no_location_in_a_file_of_another_config(command, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("a,b,y\n" + "".join(f"{i},{i % 7},{i % 2}\n" for i in range(40)))
    assert command(*QUICK, "data=table", f"data.path={table}", "test=false", "hydra.run.dir=first").code == 0
    table.unlink()
    outcome = command("test", "first")
    hint = "expected a path relative to the working directory or to data.dir"
    assert outcome.err == f"error: data.path: no file or directory '{table}'; {hint}\n"


def test_data_and_devices_are_those_of_the_current_machine(monkeypatch, tmp_path):
    config = {
        "data": {"_target_": "x", "dir": "/there/data"},
        "trainer": {"accelerator": "gpu", "devices": 4, "strategy": "ddp"},
        "logger": {"csv": {"save_dir": "/there/run"}, "other": "/there/running"},
        "callbacks": [{"dirpath": "/there/run/checkpoints"}],
    }
    monkeypatch.delenv("TRAINER_DATA_DIR", raising=False)
    adapted = build_test_config(config, "/there/run", tmp_path / "a.ckpt")
    assert adapted["data"]["dir"] == "/there/data"
    assert adapted["trainer"] == {"accelerator": "auto", "devices": 1, "strategy": "auto"}
    assert adapted["logger"] == {"csv": {"save_dir": "${hydra:runtime.output_dir}"}, "other": "/there/running"}
    assert adapted["callbacks"] == [{"dirpath": "${hydra:runtime.output_dir}/checkpoints"}]
    monkeypatch.setenv("TRAINER_DATA_DIR", "/here")
    assert build_test_config(config, "/there/run", tmp_path / "a.ckpt")["data"]["dir"] == "/here"
