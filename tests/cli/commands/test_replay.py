"""`trainer replay`: the same bits again; and where one thing is changed, that is named."""

import json
import math
import subprocess
from pathlib import Path

import pytest
import torch

from trainer.artifacts.run_record import Record
from trainer.cli.commands.replay import _report

REPOSITORY = Path(__file__).resolve().parents[3]
IN_GIT = subprocess.run(["git", "-C", REPOSITORY, "rev-parse"], capture_output=True).returncode == 0
pytestmark = pytest.mark.skipif(not IN_GIT, reason="the code under test is in no git checkout")
TABLE = ["data.features=2", "data.target=y", "data.task=values", "data.batch_size=8"]


@pytest.fixture
def run(process, tmp_path):
    """A short run on a small CSV file."""
    rows = "\n".join(f"{i},{i * i % 7},{i % 5}" for i in range(60))
    (tmp_path / "my.csv").write_text(f"a,b,y\n{rows}\n")
    words = ["data=table", "data.path=my.csv", "data.dir=.", *TABLE, "trainer.max_epochs=2", "hydra.run.dir=first"]
    outcome = process(*words)
    assert outcome.code == 0, outcome.err
    return outcome.directory / "first"


def replayed(process, *words):
    outcome = process("replay", "first", *words)
    report = outcome.out[outcome.out.index("first and its replay") :]
    return outcome.code, report


def line(report, kind):
    return next(each for each in report.splitlines() if each.startswith(f"  {kind} "))


def test_the_same_bits_come_out_and_no_checkout_is_left(run, process):
    code, report = replayed(process)
    assert code == 0, report
    assert report.splitlines()[0].endswith(": identical")
    for kind in ("metrics", "weights", "curves"):
        assert line(report, kind).endswith("the same, digit for digit")
    listed = subprocess.run(["git", "-C", REPOSITORY, "worktree", "list"], capture_output=True, text=True).stdout
    assert "trainer-replay-" not in listed


@pytest.mark.slow
def test_a_byte_of_the_data_that_changed_is_named(run, process, tmp_path):
    text = (tmp_path / "my.csv").read_text()
    (tmp_path / "my.csv").write_text(text.replace("\n5,", "\n6,"))
    code, report = replayed(process)
    assert code == 1
    assert "differs: data_sha256" in line(report, "data")
    assert report.splitlines()[-1] == "what could be to blame: data"


@pytest.mark.slow
def test_a_value_of_the_config_that_changed_is_named(run, process):
    code, report = replayed(process, "optimizer.lr=0.5")
    assert code == 1
    assert "optimizer.lr (0.001 -> 0.5)" in line(report, "config")
    assert report.splitlines()[-1] == "what could be to blame: config"


@pytest.mark.slow
def test_a_package_that_changed_is_named_even_where_it_changed_no_number(run, process):
    file = run / "provenance.json"
    facts = json.loads(file.read_text())
    facts["packages"]["torch"] = "2.0.0"
    file.write_text(json.dumps(facts))
    code, report = replayed(process)
    assert code == 0
    assert "torch (2.0.0 -> " in line(report, "environment")


@pytest.mark.slow
def test_a_line_of_code_that_changed_is_named_with_here_and_undone_without(process, tmp_path):
    def git(*words):
        subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=e", *words], cwd=tmp_path, check=True, capture_output=True
        )

    task = "{_target_: trainer.task.supervised.Supervised, _partial_: true}"
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text(f"task: {task}\nnet: {{_target_: my_code.Net, _partial_: true}}\n")
    code = "from torch import nn\n\n\ndef Net(spec):\n    return nn.Sequential(nn.Flatten(), nn.Linear(2, 1))\n"
    (tmp_path / "my_code.py").write_text(code)
    (tmp_path / ".gitignore").write_text("first\noutputs\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "mine")
    (tmp_path / "my_code.py").write_text(code.replace("Flatten()", "Flatten(), nn.Identity()"))  # not committed
    assert process("data=xor", "model=mine", "trainer.max_epochs=1", "hydra.run.dir=first").code == 0
    (tmp_path / "my_code.py").write_text(code.replace("nn.Linear(2, 1)", "nn.Linear(2, 3), nn.Linear(3, 1)"))
    status, report = replayed(process, "--here", "trust=my_code")
    assert status == 1
    assert "uncommitted changes" in line(report, "code")
    assert report.splitlines()[-1] == "what could be to blame: code"
    status, report = replayed(process, "trust=my_code")
    assert status == 0, report


def test_a_run_that_did_not_finish_cannot_be_replayed(run, process):
    (run / "result.json").unlink()
    outcome = process("replay", "first")
    assert (outcome.code, outcome.err) == (
        1,
        "error: replay: 'first' is killed: it has no result to compare with\n",
    )


def made(folder, weight):
    """A run directory as far as its numbers are compared."""
    (folder / "checkpoints").mkdir(parents=True)
    torch.save({"state_dict": {"weight": weight}}, folder / "checkpoints/last.ckpt")
    (folder / "metrics.csv").write_text("epoch,step,val/precision\n0,1,nan\n1,2,0.5\n")
    (folder / "result.json").write_text(json.dumps({"state": "finished", "metrics": {"val/precision": math.nan}}))
    (folder / "config.yaml").write_text("seed: 1\n")
    (folder / "provenance.json").write_text("{}")
    return Record(folder)


@pytest.mark.parametrize(("other", "code"), [([1.0, math.nan], 0), ([math.nan, 1.0], 1), ([1.0, math.inf], 1)])
def test_a_nan_is_the_same_as_another_in_the_same_place(other, code, tmp_path, capsys):
    first = made(tmp_path / "first", torch.tensor([1.0, math.nan]))
    second = made(tmp_path / "second", torch.tensor(other))
    assert _report(first, second, "first", own_code=True) == code
    report = capsys.readouterr().out
    assert line(report, "metrics").endswith("the same, digit for digit")
    assert line(report, "curves").endswith("the same, digit for digit")
    assert line(report, "weights").endswith("the same, digit for digit" if code == 0 else "last: weight")
