"""`trainer explain`: every file and word that set a value, in order, and the one that holds."""

import json
import subprocess
import sys
from pathlib import Path

CONF = Path(__file__).resolve().parents[3] / "conf"


def said(outcome, key):
    return json.loads(outcome.out)[key]


def test_five_layers_stand_in_the_order_they_were_merged_in(command, tmp_path):
    (tmp_path / "conf/local").mkdir(parents=True)
    (tmp_path / "conf/local/default.yaml").write_text("# @package _global_\ntrainer:\n  max_epochs: 40\n")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/mine.yaml").write_text("seed: 2\ntrainer:\n  max_epochs: 50\n")
    outcome = command(
        "explain", "trainer.max_epochs", "experiment=mine", "debug=limit", "trainer.max_epochs=7", "--json"
    )
    found = said(outcome, "trainer.max_epochs")
    assert found["value"] == 7
    assert [(each["value"], each["file"], each["line"]) for each in found["set_by"]] == [
        ("10", str(CONF / "trainer/default.yaml"), 3),
        ("40", "conf/local/default.yaml", 3),
        ("50", "experiments/mine.yaml", 3),
        ("3", str(CONF / "debug/limit.yaml"), 5),
        ("7", None, None),
    ]
    assert found["set_by"][-1]["typed"] == "trainer.max_epochs=7"


def test_a_group_shows_all_in_it_and_a_reference_what_it_refers_to(command):
    outcome = command("explain", "data", "data=xor", "seed=5", "--json")
    told = json.loads(outcome.out)
    assert {"data._target_", "data.batch_size", "data.seed", "seed"} <= told.keys()
    assert told["data.seed"]["value"] == 5
    assert [each["value"] for each in told["seed"]["set_by"]] == ["1", "5"]


def test_the_table_names_the_last_word_last(command):
    outcome = command("explain", "optimizer.lr", "optimizer.lr=0.5")
    assert outcome.code == 0
    assert outcome.out.index("0.001") < outcome.out.index("0.5")
    assert "command line" in outcome.out


def test_a_key_that_does_not_exist_gets_a_message(command):
    outcome = command("explain", "optimizer.lrr")
    assert outcome.code == 1
    assert outcome.err == "error: explain: no key 'optimizer.lrr'; did you mean 'lr'?\n"
    assert command("explain").err.startswith("error: explain: name a key first")
    assert "modle: no such key" in command("explain", "seed", "modle=cnn").err


def test_neither_explain_nor_diff_imports_torch():
    code = (
        "import sys; from trainer.cli.commands import run_command\n"
        "assert run_command('explain', ['optimizer.lr', 'experiment=mnist_cnn']) == 0\n"
        "assert run_command('diff', ['mnist_cnn', 'digits_cnn']) == 0\n"
        "assert not {'torch', 'pytorch_lightning', 'torchvision'} & {*sys.modules}"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
