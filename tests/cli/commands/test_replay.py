"""Tests of `trainer replay` with unchanged and changed data, config and code."""

import json
import math
import subprocess
from pathlib import Path

import pytest
import torch

from trainer.artifacts.run_record import RunRecord
from trainer.cli.commands.replay import compare_replay

REPOSITORY = Path(__file__).resolve().parents[3]
IN_GIT = subprocess.run(["git", "-C", REPOSITORY, "rev-parse"], capture_output=True).returncode == 0
pytestmark = pytest.mark.skipif(not IN_GIT, reason="the code under test is in no git checkout")
TABLE = ["data.target=y", "data.task=regression", "data.batch_size=8"]


@pytest.fixture
def run(process, tmp_path):
    """Run two epochs on a small CSV file and return the run directory."""
    rows = "\n".join(f"{i},{i * i % 7},{i % 5}" for i in range(60))
    (tmp_path / "my.csv").write_text(f"a,b,y\n{rows}\n")
    arguments = ["data=table", "data.path=my.csv", "data.dir=.", *TABLE, "trainer.max_epochs=2", "hydra.run.dir=first"]
    outcome = process(*arguments)
    assert outcome.code == 0, outcome.err
    return outcome.directory / "first"


def run_replay(process, *arguments):
    outcome = process("replay", "first", *arguments)
    report = outcome.out[outcome.out.index("first and its replay") :]
    return outcome.code, report


def find_line(report, kind):
    return next(row for row in report.splitlines() if row.startswith(f"  {kind} "))


def test_the_replay_is_bitwise_identical_and_removes_its_checkout(run, process):
    code, report = run_replay(process)
    assert code == 0, report
    assert report.splitlines()[0].endswith(": identical")
    for kind in ("metrics", "weights", "curves"):
        assert find_line(report, kind).endswith("bitwise identical")
    worktrees = subprocess.run(["git", "-C", REPOSITORY, "worktree", "list"], capture_output=True, text=True).stdout
    assert "trainer-replay-" not in worktrees


@pytest.mark.slow
def test_a_changed_byte_of_the_data_is_reported(run, process, tmp_path):
    text = (tmp_path / "my.csv").read_text()
    (tmp_path / "my.csv").write_text(text.replace("\n5,", "\n6,"))
    code, report = run_replay(process)
    assert code == 1
    assert "differs: data_sha256" in find_line(report, "data")
    assert report.splitlines()[-1] == "possible causes: data"


@pytest.mark.slow
def test_a_changed_value_of_the_config_is_reported(run, process):
    code, report = run_replay(process, "optimizer.lr=0.5")
    assert code == 1
    assert "optimizer.lr (0.001 -> 0.5)" in find_line(report, "config")
    assert report.splitlines()[-1] == "possible causes: config"


@pytest.mark.slow
def test_a_changed_package_is_reported_even_if_the_results_are_identical(run, process):
    file = run / "provenance.json"
    facts = json.loads(file.read_text())
    facts["packages"]["torch"] = "2.0.0"
    file.write_text(json.dumps(facts))
    code, report = run_replay(process)
    assert code == 0
    assert "torch (2.0.0 -> " in find_line(report, "environment")


@pytest.mark.slow
def test_changed_code_is_reported_with_current_code_and_restored_without(process, tmp_path):
    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=e", *arguments],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    module = "trainer.task.supervised.Supervised"
    (tmp_path / "conf/model").mkdir(parents=True)
    net = "{_target_: my_code.Net, _partial_: true}"
    (tmp_path / "conf/model/mine.yaml").write_text(f"_target_: {module}\nnet: {net}\n")
    code = "from torch import nn\n\n\ndef Net(spec):\n    return nn.Sequential(nn.Flatten(), nn.Linear(2, 1))\n"
    (tmp_path / "my_code.py").write_text(code)
    (tmp_path / ".gitignore").write_text("first\noutputs\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "mine")
    (tmp_path / "my_code.py").write_text(code.replace("Flatten()", "Flatten(), nn.Identity()"))  # not committed
    assert process("data=xor", "model=mine", "trainer.max_epochs=1", "hydra.run.dir=first").code == 0
    (tmp_path / "my_code.py").write_text(code.replace("nn.Linear(2, 1)", "nn.Linear(2, 3), nn.Linear(3, 1)"))
    status, report = run_replay(process, "--current-code", "--trust=my_code")
    assert status == 1
    assert "differs: my_code.py" in find_line(report, "code")
    assert report.splitlines()[-1] == "possible causes: code"
    status, report = run_replay(process, "--trust=my_code")
    assert status == 0, report


def test_a_run_that_did_not_finish_cannot_be_replayed(run, process):
    (run / "result.json").unlink()
    outcome = process("replay", "first")
    assert (outcome.code, outcome.err) == (
        1,
        "error: replay: the state of 'first' is killed; only finished runs can be compared\n",
    )


def create_run_dir(directory, weight):
    """Create the files of a run directory that are compared."""
    (directory / "checkpoints").mkdir(parents=True)
    torch.save({"state_dict": {"weight": weight}}, directory / "checkpoints/last.ckpt")
    (directory / "metrics.csv").write_text("epoch,step,val/precision\n0,1,nan\n1,2,0.5\n")
    (directory / "result.json").write_text(json.dumps({"state": "finished", "metrics": {"val/precision": math.nan}}))
    (directory / "config.yaml").write_text("seed: 1\n")
    (directory / "provenance.json").write_text("{}")
    return RunRecord(directory)


@pytest.mark.parametrize(("other", "code"), [([1.0, math.nan], 0), ([math.nan, 1.0], 1), ([1.0, math.inf], 1)])
def test_nans_are_equal_at_the_same_position(other, code, tmp_path):
    first = create_run_dir(tmp_path / "first", torch.tensor([1.0, math.nan]))
    second = create_run_dir(tmp_path / "second", torch.tensor(other))
    result = compare_replay(first, second, is_rebuilt=True)
    assert (result.identical, result.metrics, result.curves) == (code == 0, {}, [])
    assert result.weights == ([] if code == 0 else ["last: weight"])
