"""`trainer runs` and `trainer compare`: which runs, in which order, in which form; in what two differ."""

import csv
import io
import json

import pytest


@pytest.fixture
def sweep(command):
    """Three short runs."""
    outcome = command(
        "-m", "data=xor", "trainer.max_epochs=2", "optimizer.lr=0.1,0.01,0.001", "hydra.sweep.dir=outputs/s"
    )
    assert outcome.code == 0, outcome.err
    return [f"outputs/s/{number}" for number in range(3)]


def test_runs_are_listed_kept_sorted_and_told_in_every_form(sweep, command, monkeypatch):
    rows = json.loads(command("runs", "--json").out)
    assert [row["run"] for row in rows] == sweep
    assert [row["changed"] for row in rows] == ["optimizer.lr=0.1", "optimizer.lr=0.01", "optimizer.lr=0.001"]
    assert {row["state"] for row in rows} == {"finished"}

    by_loss = sorted(rows, key=lambda row: row["test/loss"])
    best = [row["run"] for row in json.loads(command("runs", "sort=test/loss", "--json").out)]
    assert best == [row["run"] for row in by_loss]
    assert [*reversed(best)] == [row["run"] for row in json.loads(command("runs", "sort=-test/loss", "--json").out)]

    kept = json.loads(command("runs", "optimizer.lr!=0.01", f"test/loss<{by_loss[-1]['test/loss']}", "--json").out)
    assert {row["run"] for row in kept} == {row["run"] for row in by_loss[:-1]} - {sweep[1]}

    read = [*csv.DictReader(io.StringIO(command("runs", "--csv").out))]
    assert [float(row["test/loss"]) for row in read] == [row["test/loss"] for row in rows]
    lines = command("runs", "outputs/s", "--markdown").out.splitlines()
    assert (len(lines), lines[0].split(" | ")[:3]) == (5, ["| run", "changed", "state"])
    monkeypatch.setenv("COLUMNS", "150")
    assert "val/loss_best" in command("runs").out


def test_two_runs_are_compared(sweep, command):
    told = json.loads(command("compare", *sweep[:2], "--json").out)
    assert told["differences"] == {"config": {"optimizer.lr": [0.1, 0.01]}}
    assert told["metrics"]["test/loss"][0] != told["metrics"]["test/loss"][1]
    out = command("compare", *sweep[:2]).out
    assert "optimizer.lr" in out
    assert sum(line.startswith("  val/loss ") for line in out.splitlines()) >= 2  # a curve for each


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["runs", "nowhere"], "runs: no folder 'nowhere'"),
        (["runs", "outputs", "--jsn"], "runs: --jsn: give one of --csv, --markdown, --json, or none"),
        (["runs", "optimizer.lrr=1"], "has no key 'optimizer.lrr'; did you mean 'optimizer.lr'"),
        (["runs", "test/loss<small"], "test/loss is compared with 'small', which is no number"),
        (["runs", "sort=test/los"], "no column 'test/los' to sort by; did you mean 'test/loss'"),
        (["compare", "outputs/s/0"], "compare: name two run directories"),
        (["compare", "outputs/s/0", "outputs/s"], "'outputs/s' is no run directory"),
        (["replay"], "replay: name a run directory first"),
    ],
)
def test_a_mistake_gets_one_message(words, message, command):
    command("data=xor", "trainer.max_epochs=1", "hydra.run.dir=outputs/s/0")
    outcome = command(*words)
    assert outcome.code == 1
    assert outcome.err.startswith("error: ")
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_an_empty_folder_has_no_runs(command, tmp_path):
    (tmp_path / "outputs").mkdir()
    assert command("runs").out == "no runs\n"
