"""Tests of `trainer explain`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CONF = Path(__file__).resolve().parents[3] / "conf"


def read_source(outcome, key):
    return json.loads(outcome.out)[key]


def test_layers_are_listed_in_merge_order(command, tmp_path):
    (tmp_path / "conf/local").mkdir(parents=True)
    (tmp_path / "conf/local/default.yaml").write_text("# @package _global_\ntrainer:\n  max_epochs: 40\n")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/mine.yaml").write_text("seed: 2\ntrainer:\n  max_epochs: 50\n")
    outcome = command(
        "explain", "trainer.max_epochs", "experiment=mine", "debug=limit", "trainer.max_epochs=7", "--json"
    )
    source = read_source(outcome, "trainer.max_epochs")
    assert source["value"] == 7
    assert [(entry["value"], entry["file"], entry["line"]) for entry in source["set_by"]] == [
        ("10", str(CONF / "trainer/default.yaml"), 3),
        ("40", "conf/local/default.yaml", 3),
        ("50", "experiments/mine.yaml", 3),
        ("3", str(CONF / "debug/limit.yaml"), 5),
        ("7", None, None),
    ]
    assert source["set_by"][-1]["override"] == "trainer.max_epochs=7"


def test_a_group_lists_its_values_and_the_targets_of_interpolations(command):
    outcome = command("explain", "data", "data=xor", "seed=5", "--json")
    sources = json.loads(outcome.out)
    assert {"data._target_", "data.batch_size", "data.seed", "seed"} <= sources.keys()
    assert sources["data.seed"]["value"] == 5
    assert [entry["value"] for entry in sources["seed"]["set_by"]] == ["1", "5"]


def test_the_table_lists_the_effective_entry_last(command):
    outcome = command("explain", "optimizer.lr", "optimizer.lr=0.5")
    assert outcome.code == 0
    assert outcome.out.index("0.001") < outcome.out.index("0.5")
    assert "command line" in outcome.out


def test_an_unknown_key_is_reported(command):
    outcome = command("explain", "optimizer.lrr")
    assert outcome.code == 1
    assert outcome.err == "error: explain: no key 'optimizer.lrr'; did you mean 'lr'?\n"
    assert command("explain").err.startswith("error: explain: the following arguments are required: key")
    assert "modle: no such key" in command("explain", "seed", "modle=cnn").err


@pytest.mark.parametrize("arguments", [["optimizer.lr", "run"], ["run", "optimizer.lr"]])
def test_a_run_directory_is_reported_with_the_command_that_accepts_it(arguments, command, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").touch()
    outcome = command("explain", *arguments)
    assert outcome.code == 1
    assert outcome.err.startswith("error: explain: 'run' is a run directory; expected KEY and overrides; ")
    assert "trainer diff run NAME" in outcome.err


def test_a_directory_with_the_name_of_a_group_does_not_matter(command, tmp_path):
    (tmp_path / "optimizer").mkdir()
    assert "optimizer.lr" in command("explain", "optimizer").out


def test_neither_explain_nor_diff_imports_torch():
    code = (
        "import sys; from trainer.cli.commands import run_command\n"
        "assert run_command('explain', ['optimizer.lr', 'experiment=mnist_cnn']) == 0\n"
        "assert run_command('diff', ['mnist_cnn', 'digits_cnn']) == 0\n"
        "assert not {'torch', 'pytorch_lightning', 'torchvision'} & {*sys.modules}"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
