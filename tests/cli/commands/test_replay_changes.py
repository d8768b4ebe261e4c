"""Tests of `trainer replay` for extended runs and changed code and config files."""

import json
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
IN_GIT = subprocess.run(["git", "-C", REPOSITORY, "rev-parse"], capture_output=True).returncode == 0
pytestmark = pytest.mark.skipif(not IN_GIT, reason="the code under test is in no git checkout")
XOR = ["data=xor", "model=mine", "trainer.max_epochs=1", "+trainer.limit_train_batches=4", "hydra.run.dir=first"]
MODEL = """
_target_: trainer.task.supervised.Supervised
net: {_target_: my_code.Net, _partial_: true, width: 3}
"""
NET = "from torch import nn\nfrom my_layers import act\n\n\ndef Net(spec, width):\n"
NET += "    return nn.Sequential(nn.Flatten(), nn.Linear(2, width), act(), nn.Linear(width, 1))\n"


@pytest.fixture
def run(process, tmp_path):
    """Run a user-defined network whose files are in no git checkout; return the run directory."""
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text(MODEL)
    (tmp_path / "my_code.py").write_text(NET)
    (tmp_path / "my_layers.py").write_text("from torch.nn import ReLU as act\n")
    assert process(*XOR).code == 0
    return tmp_path / "first"


def run_replay(process, *arguments, **environment):
    outcome = process("replay", "first", *arguments, **environment)
    report = outcome.out.partition("first and its replay")[2]
    return outcome.code, report, outcome.err


def find_line(report, kind):
    return next(row for row in report.splitlines() if row.startswith(f"  {kind} "))


@pytest.mark.slow
def test_user_code_outside_of_git_is_rebuilt_or_reported(run, process, tmp_path):
    assert [file.name for file in sorted((run / "code").iterdir())] == ["my_code.py", "my_layers.py"]
    (tmp_path / "my_layers.py").write_text("from torch.nn import Sigmoid as act\n")
    code, report, _ = run_replay(process, "--trust=my_code", "--current-code")
    assert code == 1
    assert find_line(report, "code").startswith("  code         differs: my_layers.py (")
    assert find_line(report, "environment").endswith("identical")
    assert report.splitlines()[-1] == "possible causes: code"
    another_user = {"XDG_STATE_HOME": str(tmp_path / "another user")}
    (run / "code.diff").unlink(missing_ok=True)  # of the checkout of these tests
    code, _, error = run_replay(process, "--trust=my_code", **another_user)
    assert code == 1
    assert "copies in 'first/code' contain modules that are not trusted: my_layers.py\n" in error
    assert "  to run them: --trust=my_code,my_layers; --current-code runs the current code\n" in error
    code, report, _ = run_replay(process, "--trust=my_code,my_layers", **another_user)
    assert code == 0, report
    assert find_line(report, "code").endswith("rebuilt from the run's commit and changes")
    code, report, _ = run_replay(process)  # by the user who has started the run
    assert code == 0, report
    (run / "code/my_layers.py").write_text("from torch.nn import Tanh as act\n")
    assert "contain modules that are not trusted: my_layers.py\n" in run_replay(process)[2]


@pytest.mark.slow
def test_a_changed_file_without_a_copy_is_reported_as_not_restored(process, tmp_path):
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text(MODEL)
    (tmp_path / "my_code.py").write_text(NET + f"# {'x' * 100_000}\n")
    (tmp_path / "my_layers.py").write_text("from torch.nn import ReLU as act\n")
    assert process(*XOR).code == 0
    assert [file.name for file in (tmp_path / "first/code").iterdir()] == ["my_layers.py"]
    (tmp_path / "my_code.py").write_text(NET.replace("width)", "width, bias=False)"))
    code, report, _ = run_replay(process)
    assert code == 1
    line = find_line(report, "code")
    assert "differs: my_code.py (" in line
    assert line.endswith("; not restored: the run has kept no copy of it")
    assert report.splitlines()[-1] == "possible causes: code"


@pytest.mark.slow
def test_the_recorded_config_is_replayed_even_if_its_file_has_changed(run, process, tmp_path):
    (tmp_path / "conf/model/mine.yaml").write_text(MODEL.replace("width: 3", "width: 5"))
    code, report, _ = run_replay(process, "--trust=my_code")
    assert code == 0, report


@pytest.mark.slow
def test_an_extended_run_is_replayed_in_full_length(run, process, tmp_path):
    extended = process("resume", "first", "trainer.max_epochs=2", "--trust=my_code")
    assert extended.code == 0, extended.err
    code, report, _ = run_replay(process, "--trust=my_code")
    assert code == 0, report
    [replay] = (tmp_path / "outputs/replays").iterdir()
    assert json.loads((replay / "result.json").read_text())["epochs"] == 2


@pytest.mark.slow
def test_code_changed_at_a_resumption_is_reported_as_the_cause(run, process, tmp_path):
    (tmp_path / "my_layers.py").write_text("from torch.nn import Sigmoid as act\n")
    arguments = ["resume", "first", "trainer.max_epochs=2", "--trust=my_code", "accept_changes=true"]
    assert process(*arguments).code == 0
    code, report, _ = run_replay(process, "--trust=my_code")
    assert code == 1
    assert "changed at a resumption (my_layers.py: changed -> nothing)" in find_line(report, "code")
    assert report.splitlines()[-1] == "possible causes: code"


@pytest.mark.slow
def test_a_group_choice_cannot_be_changed(run, process):
    outcome = process("replay", "first", "model=linear", "--trust=my_code")
    assert outcome.code == 1
    assert outcome.err == ("error: replay: 'model=linear': only single values can be changed, as in optimizer.lr=0.1\n")
