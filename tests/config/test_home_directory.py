"""Tests of `~/` in the paths of a config."""

import pytest

from trainer.cli.commands import parse_arguments
from trainer.config.compose import Composer

LOCAL = "# @package _global_\noutputs: ~/runs\ntags: [~/a, ~b]\n"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf/local").mkdir(parents=True)
    (tmp_path / "conf/local/default.yaml").write_text(LOCAL)
    return str(tmp_path / "home")


def test_paths_of_files_and_overrides_are_expanded(home):
    config = Composer().compose(["data=table", "data.path=~/a.csv", "hydra.sweep.dir=~/sweep"])
    assert config.hydra.run.dir.startswith(f"{home}/runs/")
    assert (config.data.path, config.hydra.sweep.dir) == (f"{home}/a.csv", f"{home}/sweep")
    assert config.tags == [f"{home}/a", "~b"]


def test_a_run_uses_the_expanded_paths(home, command):
    assert f"outputs: {home}/runs\n" in command("data=xor", "--cfg", "job").out


def test_options_of_commands_are_expanded(home):
    assert parse_arguments("export", ["--to=~/a.onnx"], to=None).to == f"{home}/a.onnx"
