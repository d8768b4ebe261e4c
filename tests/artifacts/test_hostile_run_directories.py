"""Damaged or foreign files in a run directory make this run unreadable, and no other one."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from trainer.artifacts.run_record import RunRecord, read_run
from trainer.core.errors import UserError
from trainer.reports.tensorboard_logdir import LogDirectory

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
RUN = ["data=xor", "model=linear", "trainer.max_epochs=1", "+trainer.limit_train_batches=2", "hydra.run.dir=runs/good"]


def change(name, **values):
    """Return a function that changes values of a JSON file."""

    def apply(run):
        content = json.loads((run / name).read_text())
        (run / name).write_text(json.dumps({**content, **values}))

    return apply


def write(name, content):
    """Return a function that replaces a file."""

    def apply(run):
        (run / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return apply


UNREADABLE = {
    "empty result": write("result.json", ""),
    "result without state": write("result.json", '{"metrics": {}}'),
    "unknown state": change("result.json", state="<b>great</b>"),
    "result is a list": write("result.json", "[1]"),
    "result is cut": write("result.json", '{"state": "finis'),
    "metrics are a list": change("result.json", metrics=[1, 2]),
    "a metric is a text": change("result.json", metrics={"test/loss": "0.1"}),
    "seconds are a text": change("result.json", seconds="1 s"),
    "deeply nested result": write("result.json", "[" * 200_000),
    "provenance is a list": write("provenance.json", "[]"),
    "overrides are a number": change("provenance.json", overrides=3),
    "overrides are numbers": change("provenance.json", overrides=[3]),
    "directory is a list": change("provenance.json", directory=["/"]),
    "git is a text": change("provenance.json", git="x"),
    "git without text": change("provenance.json", git=[{"root": 1}]),
    "git without root": change("provenance.json", git=[{"commit": "a"}]),
    "resumed is a number": change("provenance.json", resumed=[1]),
    "code is a list": change("provenance.json", code=["a.py"]),
    "config without UTF-8": write("config.yaml", b"seed: \xff"),
    "config is a list": write("config.yaml", "- a\n"),
    "alias bomb": write("config.yaml", BOMB),
    "object in config": write("config.yaml", "seed: !!python/object/apply:os.system [id]\n"),
    "model is a text": write("config.yaml", "seed: 1\nmodel: x\n"),
    "callbacks are a list": write("config.yaml", "seed: 1\ncallbacks: [a]\n"),
}
READABLE = {  # incomplete or unusual, but every command can use or ignore it
    "no result": lambda run: (run / "result.json").unlink(),
    "no directory": lambda run: write("provenance.json", '{"overrides": []}')(run),
    "empty provenance": write("provenance.json", "{}"),
    "no overrides": change("provenance.json", overrides=[]),
    "unreadable override": change("provenance.json", overrides=["a=[", "=", "${x}"]),
    "extra cells": lambda run: write("metrics.csv", (run / "metrics.csv").read_text() + "1,2,3,4,5,6,7,8,9,9,9\n")(run),
    "infinity": write("metrics.csv", "epoch,step,val/loss\n0,0,inf\n1,1,nan\n2,2,-inf\n"),
    "step without number": write("metrics.csv", "epoch,step,val/loss\n0,x,1\n"),
    "hydra is cut": write(".hydra/hydra.yaml", "hydra:\n  run"),
    "hydra bomb": write(".hydra/hydra.yaml", BOMB),
    "choices are a list": write(".hydra/hydra.yaml", "hydra: {runtime: {choices: [a]}}\n"),
    "config is empty": write(".hydra/config.yaml", ""),
    "config with another key": write(".hydra/config.yaml", "defaults: [a]\n"),
    "config with an invalid interpolation": write(".hydra/config.yaml", "task_name: '${'\n"),
    "config with an invalid type": write(".hydra/config.yaml", "seed: a\n"),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Return the directory of a short run."""
    directory = tmp_path_factory.mktemp("base")
    subprocess.run([sys.executable, "-m", "trainer", *RUN], cwd=directory, check=True, capture_output=True)
    return directory / "runs"


@pytest.fixture
def make_bad_run(base, tmp_path):
    """Return a function that copies the run to `runs/good` and `runs/bad`, and changes the second one."""

    def make(apply):
        for name in ("good", "bad"):
            shutil.copytree(base / "good", tmp_path / "runs" / name)
        apply(tmp_path / "runs/bad")
        return tmp_path / "runs"

    return make


@pytest.mark.parametrize("case", UNREADABLE)
def test_the_state_of_an_unreadable_run_is_the_reason(case, make_bad_run):
    bad = RunRecord(make_bad_run(UNREADABLE[case]) / "bad")
    assert re.match(r"unreadable: (result\.json|provenance\.json|config\.yaml): ", bad.state)
    assert len(bad.state) < 200
    with pytest.raises(UserError, match="bad' is unreadable: "):
        read_run(str(bad.path))


@pytest.mark.parametrize("case", ["empty result", "overrides are a number", "alias bomb"])
def test_an_unreadable_run_is_a_row_of_every_list(case, make_bad_run, command, tmp_path):
    runs = make_bad_run(UNREADABLE[case])
    outcome = command("runs", "runs", "--json")
    assert outcome.code == 0, outcome.err
    bad, good = json.loads(outcome.out)
    assert good["state"] == "finished"
    assert bad["state"].startswith("unreadable: ")
    assert bad["state"].partition(": ")[2].partition(":")[0] in ("result.json", "provenance.json", "config.yaml")
    (tmp_path / "links").mkdir()
    logs = LogDirectory(runs, tmp_path / "links")
    assert len(logs.link_new_runs()) == 2
    logs.write_hparams()
    for arguments in (["report", "runs"], ["sweep", "report", "runs"]):
        report = command(*arguments)
        assert report.code == 0, report.err
    assert bad["state"].partition(": ")[2].partition(":")[0] in (runs / "report.html").read_text()
    for arguments in (["report"], ["resume"], ["replay"], ["compare", "runs/good"], ["diff", "data=xor"]):
        refused = command(*arguments, "runs/bad")
        assert refused.code == 1, arguments
        assert "'runs/bad' is unreadable: " in refused.err.replace(f"{tmp_path}/", ""), arguments
        assert "Traceback" not in refused.err


@pytest.mark.parametrize("case", READABLE)
def test_unusual_files_give_no_traceback(case, make_bad_run, command):
    make_bad_run(READABLE[case])
    assert command("runs", "runs", "--json").code == 0
    for arguments in (["report"], ["resume"], ["compare", "runs/good"], ["sweep", "report"]):
        outcome = command(*arguments, "runs/bad")
        assert "Traceback" not in outcome.err, arguments
        assert outcome.code == 0 or outcome.err.startswith("error: "), arguments


def test_a_run_without_its_recorded_paths_is_not_replayed_into_its_own_directory(make_bad_run, command):
    make_bad_run(READABLE["no directory"])
    outcome = command("replay", "runs/bad", "--current-code")
    message = "error: replay: 'runs/bad' cannot be replayed: its provenance.json has no directory, run\n"
    assert (outcome.code, outcome.err) == (1, message)
