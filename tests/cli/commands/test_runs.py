"""Tests of `trainer runs` and `trainer compare`."""

import csv
import io
import json

import pytest

from trainer.cli.commands.runs import _omit_columns


@pytest.fixture
def sweep(command):
    """Run a sweep of three short jobs and return their directories."""
    outcome = command(
        "-m", "data=xor", "trainer.max_epochs=2", "optimizer.lr=0.1,0.01,0.001", "hydra.sweep.dir=outputs/s"
    )
    assert outcome.code == 0, outcome.err
    return [f"outputs/s/{number}" for number in range(3)]


@pytest.mark.slow
def test_runs_are_filtered_sorted_and_printed_in_every_format(sweep, command, monkeypatch):
    rows = json.loads(command("runs", "--json").out)
    assert [row["run"] for row in rows] == sweep
    assert [row["changed"] for row in rows] == ["optimizer.lr=0.1", "optimizer.lr=0.01", "optimizer.lr=0.001"]
    assert {row["state"] for row in rows} == {"finished"}

    by_loss = sorted(rows, key=lambda row: row["metrics"]["test/loss"])
    best = [row["run"] for row in json.loads(command("runs", "--sort=test/loss", "--json").out)]
    assert best == [row["run"] for row in by_loss]
    assert [*reversed(best)] == [row["run"] for row in json.loads(command("runs", "--sort=-test/loss", "--json").out)]

    selected = json.loads(
        command("runs", "optimizer.lr!=0.01", f"test/loss<{by_loss[-1]['metrics']['test/loss']}", "--json").out
    )
    assert {row["run"] for row in selected} == {row["run"] for row in by_loss[:-1]} - {sweep[1]}

    csv_rows = [*csv.DictReader(io.StringIO(command("runs", "--csv").out))]
    assert [float(row["test/loss"]) for row in csv_rows] == [row["metrics"]["test/loss"] for row in rows]
    lines = command("runs", "outputs/s", "--markdown").out.splitlines()
    assert (len(lines), lines[0].split(" | ")[:3]) == (5, ["| run", "changed", "state"])
    monkeypatch.setenv("COLUMNS", "150")
    assert "val/loss_best" in command("runs").out


@pytest.mark.slow
def test_two_runs_are_compared(sweep, command):
    comparison = json.loads(command("compare", *sweep[:2], "--json").out)
    assert comparison["differences"] == {"config": {"optimizer.lr": [0.1, 0.01]}}
    assert comparison["metrics"]["test/loss"][0] != comparison["metrics"]["test/loss"][1]
    out = command("compare", *sweep[:2]).out
    assert "optimizer.lr" in out
    assert sum(line.startswith("  val/loss ") for line in out.splitlines()) >= 2  # a curve for each


def test_curves_with_values_that_are_not_finite_are_compared(command, tmp_path):
    for name, values in {"first": ("nan", "1", "inf"), "second": ("2", "1.7e308", "-1.7e308")}.items():
        (tmp_path / name).mkdir()
        lines = [f"{step},{step},{value}" for step, value in enumerate(values)]
        (tmp_path / name / "metrics.csv").write_text("\n".join(["epoch,step,val/loss", *lines]) + "\n")
        (tmp_path / name / "config.yaml").write_text("seed: 1\n")
        (tmp_path / name / "provenance.json").write_text("{}")
    outcome = command("compare", "first", "second")
    assert outcome.code == 0, outcome.err
    curves = [line.removeprefix("  val/loss ").strip() for line in outcome.out.splitlines() if "val/loss" in line]
    assert [curve.split("  ")[0].strip() for curve in curves] == ["▅", "▅█▁"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs", "nowhere"], "runs: no directory 'nowhere'"),
        (["runs", "outputs", "--jsn"], "runs: unrecognized arguments: --jsn; did you mean '--json'"),
        (["runs", "optimizer.lrr=1"], "has no key 'optimizer.lrr'; did you mean 'optimizer.lr'"),
        (["runs", "test/loss<small"], "runs: test/loss: 'small' is not a number"),
        (["runs", "--sort=test/los"], "no column 'test/los' to sort by; did you mean 'test/loss'"),
        (["compare", "outputs/s/0"], "compare: the following arguments are required: second"),
        (["compare", "outputs/s/0", "outputs/s"], "'outputs/s' is not a run directory"),
        (["replay"], "replay: the following arguments are required: run"),
    ],
)
def test_errors_are_reported_in_one_line(arguments, message, command):
    command("data=xor", "trainer.max_epochs=1", "hydra.run.dir=outputs/s/0")
    outcome = command(*arguments)
    assert outcome.code == (2 if "argument" in message else 1)
    assert outcome.err.startswith("error: ")
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_an_empty_directory_has_no_runs(command, tmp_path):
    (tmp_path / "outputs").mkdir()
    assert command("runs").out == "no runs\n"


def test_columns_are_left_out_if_words_would_be_broken():
    cells = {
        "run": ["2026-12-01_08-13-02_048236"],
        "changed": ["trainer.max_epochs=3 optimizer.lr=0.005"],
        "state": ["finished"],
        "test/accuracy": ["0.9667"],
        "val/loss_best": ["0.1813"],
        "seconds": ["4.914"],
    }
    assert _omit_columns(dict(cells), ["seconds", "val/loss_best", "state"], 120) == []
    narrow = dict(cells)
    assert _omit_columns(narrow, ["seconds", "val/loss_best", "state"], 90) == ["seconds", "val/loss_best"]
    assert [*narrow] == ["run", "changed", "state", "test/accuracy"]
    assert _omit_columns(dict(cells), ["seconds", "val/loss_best", "state"], 10) == [
        "seconds",
        "val/loss_best",
        "state",
    ]
