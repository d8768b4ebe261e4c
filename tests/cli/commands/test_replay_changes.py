"""`trainer replay` of runs that were extended, or whose code and config files have changed since."""

import json
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
IN_GIT = subprocess.run(["git", "-C", REPOSITORY, "rev-parse"], capture_output=True).returncode == 0
pytestmark = pytest.mark.skipif(not IN_GIT, reason="the code under test is in no git checkout")
XOR = ["data=xor", "model=mine", "trainer.max_epochs=1", "+trainer.limit_train_batches=4", "hydra.run.dir=first"]
MODEL = """
task: {_target_: trainer.task.supervised.Supervised, _partial_: true}
net: {_target_: my_code.Net, _partial_: true, width: 3}
"""
NET = "from torch import nn\nfrom my_layers import act\n\n\ndef Net(spec, width):\n"
NET += "    return nn.Sequential(nn.Flatten(), nn.Linear(2, width), act(), nn.Linear(width, 1))\n"


@pytest.fixture
def run(process, tmp_path):
    """A run with a network of the user's, whose files are in no git checkout."""
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text(MODEL)
    (tmp_path / "my_code.py").write_text(NET)
    (tmp_path / "my_layers.py").write_text("from torch.nn import ReLU as act\n")
    assert process(*XOR).code == 0
    return tmp_path / "first"


def replayed(process, *words):
    outcome = process("replay", "first", *words)
    report = outcome.out.partition("first and its replay")[2]
    return outcome.code, report, outcome.err


def line(report, kind):
    return next(each for each in report.splitlines() if each.startswith(f"  {kind} "))


@pytest.mark.slow
def test_the_users_code_outside_of_git_is_rebuilt_or_named(run, process, tmp_path):
    assert [file.name for file in sorted((run / "code").iterdir())] == ["my_code.py", "my_layers.py"]
    (tmp_path / "my_layers.py").write_text("from torch.nn import Sigmoid as act\n")
    code, report, _ = replayed(process, "trust=my_code", "--here")
    assert code == 1
    assert line(report, "code").startswith("  code         differs: my_layers.py (")
    assert line(report, "environment").endswith("the same")
    assert report.splitlines()[-1] == "what could be to blame: code"
    code, _, refused = replayed(process, "trust=my_code")
    assert code == 1
    assert "copies in 'first/code' contain modules that are not trusted: my_layers.py\n" in refused
    code, report, _ = replayed(process, "trust=my_code,my_layers")
    assert code == 0, report
    assert line(report, "code").endswith("rebuilt from the run's commit and changes")


@pytest.mark.slow
def test_the_recorded_config_is_replayed_also_where_its_file_has_changed(run, process, tmp_path):
    (tmp_path / "conf/model/mine.yaml").write_text(MODEL.replace("width: 3", "width: 5"))
    code, report, _ = replayed(process, "trust=my_code")
    assert code == 0, report


@pytest.mark.slow
def test_an_extended_run_is_replayed_in_its_whole_length(run, process, tmp_path):
    extended = process("resume", "first", "trainer.max_epochs=2", "trust=my_code")
    assert extended.code == 0, extended.err
    code, report, _ = replayed(process, "trust=my_code")
    assert code == 0, report
    [replay] = (tmp_path / "outputs/replays").iterdir()
    assert json.loads((replay / "result.json").read_text())["epochs"] == 2


@pytest.mark.slow
def test_a_run_that_was_resumed_with_other_code_is_not_blamed_on_the_environment(run, process, tmp_path):
    (tmp_path / "my_layers.py").write_text("from torch.nn import Sigmoid as act\n")
    words = ["resume", "first", "trainer.max_epochs=2", "trust=my_code", "accept_changes=true"]
    assert process(*words).code == 0
    code, report, _ = replayed(process, "trust=my_code")
    assert code == 1
    assert "changed at a resumption (my_layers.py: changed -> nothing)" in line(report, "code")
    assert report.splitlines()[-1] == "what could be to blame: code"


def test_a_choice_of_a_file_is_no_change_of_a_value(run, process):
    outcome = process("replay", "first", "model=linear", "trust=my_code")
    assert outcome.code == 1
    assert outcome.err == ("error: replay: 'model=linear': only single values can be changed, as in optimizer.lr=0.1\n")
