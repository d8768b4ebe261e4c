"""Ratios of the benchmarks, and equal work of the contestants."""

import csv
import json
import os
from copy import deepcopy
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
XOR = (
    "experiment=xor_tutorial",
    "data.repeats=1",
    "trainer.max_epochs=20",
    "trainer.log_every_n_steps=1",
    "trainer.check_val_every_n_epoch=10",
)


@pytest.fixture(autouse=True)
def _benchmarks_can_be_imported(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setenv("PL_GLOBAL_SEED", os.environ.get("PL_GLOBAL_SEED", "0"))  # restored after the test


def read_scalars(directory, name):
    """Return the values of an event file in their order."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (file,) = directory.rglob("events.*")
    events = EventAccumulator(str(file))
    events.Reload()
    return [event.value for event in events.Scalars(name)]


def test_the_result_is_the_median_of_the_ratios_of_each_round():
    from table import ROWS, format_table

    rounds = [{"ours": 10, "tutorial": 5}, {"ours": 30, "tutorial": 10}, {"ours": 8, "tutorial": 2}]
    (row,) = [row for row in ROWS if row.group == "gan"]
    assert row.ratios(rounds) == [2, 3, 4]
    assert format_table({"gan": rounds})[2:] == [
        "| GAN, dense, MNIST | 10 steps/s | tutorial | 5 | 3 | 2 .. 4 | at least 1.6 | yes |"
    ]


def test_fewer_seconds_are_better_and_a_missed_goal_is_marked():
    from table import format_table

    lines = format_table({"start": [{"ours": 5.0, "import torch": 2.0, "template": 6.0}]})[2:]
    assert lines[0].endswith("| 5 s | import torch | 2 | 2.5 | 2.5 .. 2.5 | at most 2.4 | NO |")
    assert lines[1].endswith("| 5 s | template | 6 | 0.833 | 0.833 .. 0.833 |  |  |")


def test_a_contestant_that_was_not_measured_has_no_row():
    from table import contestants, format_table

    assert contestants("mnist") == ["ours", "plain", "tutorial"]
    assert len(format_table({"mnist": [{"ours": 1.0, "plain": 1.0}]})) == 3


def test_every_group_has_a_workload():
    import fused_sweeps
    import sweeps
    from table import GROUPS
    from workloads import WORKLOAD_BY_GROUP, WORKLOADS

    assert {*GROUPS} == {*WORKLOADS, *WORKLOAD_BY_GROUP, *sweeps.MEASURES, *fused_sweeps.MEASURES, "start", "sweep"}
    assert {*WORKLOAD_BY_GROUP.values()} <= {*WORKLOADS}


def test_all_contestants_have_the_same_losses_on_xor(command, tmp_path):
    import plain
    import template
    from jobs import build_job

    (run,) = command(*XOR, "test=false").runs
    rows = csv.DictReader((run / "metrics.csv").read_text().splitlines())
    ours = [float(row["train/loss"]) for row in rows if row["train/loss"]]
    assert len(ours) == 20
    assert json.loads((run / "result.json").read_text())["steps"] == 20

    assert plain.train(deepcopy(build_job(XOR)), tmp_path / "plain")[0] == 20
    assert read_scalars(tmp_path / "plain", "train/loss") == pytest.approx(ours, abs=1e-6)
    assert {file.name for file in (tmp_path / "plain").glob("*.pt")} == {"best.pt", "last.pt"}

    assert template.train(deepcopy(build_job(XOR)), tmp_path / "template", steps=20, long_epochs=True)[0] == 20
    assert read_scalars(tmp_path / "template", "train/loss") == [pytest.approx(sum(ours) / 20, abs=1e-6)]
