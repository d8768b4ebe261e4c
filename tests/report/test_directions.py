"""Directions in sweeps and their reports: stated once for the sweep, never taken from a job, never guessed."""

import json
import re
import sqlite3

import pytest
import yaml

PIECES = '''
from pytorch_lightning import Callback

class Obj(Callback):
    """Logs two metrics whose names say nothing, and two that rise and fall with x."""
    def __init__(self, x):
        self.x = x
    def on_validation_epoch_end(self, trainer, pl_module):
        x = self.x
        pl_module.log_dict({"val/obj": (x - 2.0) ** 2, "val/way": 10.0 - x})
        pl_module.log_dict({"val/own_accuracy": x / 10, "val/own_loss": x})
'''
TINY = [
    "data=xor",
    "callbacks=none",
    "logger=none",
    "trainer.max_epochs=1",
    "+trainer.limit_train_batches=1",
    "test=false",
]
OBJ = "+callbacks.o._target_=pieces.Obj"
GRID = ["-m", *TINY, OBJ, "+callbacks.o.x=5,2,9", "hydra.sweep.dir=s"]
SEARCH = ["-m", *TINY, OBJ, "+callbacks.o.x=interval(0,9)", "sweep.trials=4", "hydra.sweep.dir=s"]


@pytest.fixture
def sweep(command, tmp_path):
    """Run a sweep in `s` with the pieces of this file; returns what the command did."""
    (tmp_path / "pieces.py").write_text(PIECES)
    return command


def best_x(tmp_path):
    return yaml.safe_load((tmp_path / "s/best.yaml").read_text())["callbacks"]["o"]["x"]


def xs_of(tmp_path):
    lines = (tmp_path / "s/report.csv").read_text().splitlines()[1:]
    return [float(re.search(r"o\.x=([^,]+)", line)[1]) for line in lines]


@pytest.mark.parametrize(
    ("words", "order"),
    [
        (["optimized_metric=val/obj", "sweep.direction=min"], [2, 5, 9]),
        (["optimized_metric=val/obj", "sweep.direction=max"], [9, 5, 2]),
        (["optimized_metric=val/own_accuracy"], [9, 5, 2]),
        (["optimized_metric=val/own_loss"], [2, 5, 9]),
        (["optimized_metric=val/own_loss", "sweep.direction=max"], [9, 5, 2]),
        (["optimized_metric=[val/obj,val/way]", "sweep.direction=[min,max]"], [2, 5, 9]),
        (["optimized_metric=[val/way,val/obj]", "sweep.direction=[min,min]"], [9, 5, 2]),
    ],
)
def test_the_best_config_of_a_sweep_goes_by_its_direction(words, order, sweep, tmp_path):
    outcome = sweep(*GRID, *words)
    assert outcome.code == 0, outcome.err
    assert xs_of(tmp_path) == order
    assert best_x(tmp_path) == order[0]
    assert ("looks for the worst 'val/own_loss'" in outcome.out) == ("val/own_loss" in words[0] and len(words) > 1)


@pytest.mark.parametrize("direction", ["min", "max"])
def test_the_best_config_of_a_search_is_its_best_trial(direction, sweep, tmp_path):
    outcome = sweep(*SEARCH, "optimized_metric=val/obj", f"sweep.direction={direction}")
    assert outcome.code == 0, outcome.err
    best = re.search(r"best  #\d+  val/obj \S+  \S+o\.x=(\S+)", outcome.out)
    tried = xs_of(tmp_path)
    chosen = (min if direction == "min" else max)(tried, key=lambda x: (x - 2.0) ** 2)
    assert best_x(tmp_path) == float(best[1]) == tried[0] == chosen


def test_with_several_metrics_the_best_config_says_by_which_one_it_was_chosen(sweep, tmp_path):
    outcome = sweep(*GRID, "optimized_metric=[val/obj,val/way]", "sweep.direction=[min,max]")
    assert "compared by val/obj alone, not by val/way" in outcome.out
    recipe = (tmp_path / "s/best.yaml").read_text().splitlines()
    assert recipe[0] == "# The best of 3 configs by val/obj: 0 (1 run)."
    assert "# compared by val/obj alone, not by val/way" in recipe
    assert "compared by val/obj alone" in (tmp_path / "s/report.md").read_text()


@pytest.mark.parametrize(
    "words",
    [
        [*GRID, "optimized_metric=val/obj"],
        [*SEARCH, "optimized_metric=val/obj"],
        [*GRID, "optimized_metric=[val/own_loss,val/obj]"],
        ["sweep", "plan", *GRID[1:], "optimized_metric=val/obj"],
    ],
    ids=["sweep", "search", "second metric", "plan"],
)
def test_an_unknown_direction_is_one_error_before_any_job_starts(words, sweep, tmp_path):
    outcome = sweep(*words)
    assert outcome.code == 1
    told = (
        "error: sweep.direction: it is unknown whether small or large values of 'val/obj' are good; expected min or max"
    )
    assert outcome.err.splitlines() == [told + (" for each metric: [min,max]" if "[val" in words[-1] else "")]
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sweep.direction=min"], "sweep.direction: it has no effect without optimized_metric"),
        (
            ["optimized_metric=val/obj", "sweep.direction=[min,max]"],
            "say min or max for each of val/obj, not [min,max]",
        ),
        (["optimized_metric=val/obj", "sweep.direction=minimize"], "say min or max for each of val/obj, not minimize"),
        (["optimized_metric=[val/obj,val/obj]"], "optimized_metric: val/obj, val/obj has a metric twice"),
    ],
)
def test_a_direction_that_makes_no_sense_is_refused_before_any_job_starts(words, told, sweep, tmp_path):
    outcome = sweep(*GRID, *words)
    assert (outcome.code, len(outcome.err.splitlines())) == (1, 1)
    assert told in outcome.err
    assert not (tmp_path / "s").exists()


def test_a_direction_that_contradicts_how_the_best_epoch_is_chosen_is_refused(sweep, tmp_path):
    checkpoint = ["callbacks=checkpoint", "callbacks.checkpoint.monitor=val/obj", "callbacks.checkpoint.mode=max"]
    outcome = sweep(*GRID, *checkpoint, "optimized_metric=val/obj_best", "sweep.direction=min")
    told = "sweep.direction: min contradicts callbacks.checkpoint.mode=max, by which 'val/obj_best' is chosen"
    assert told in outcome.err
    assert not (tmp_path / "s").exists()


def test_a_resumed_sweep_has_the_direction_and_the_metric_of_its_last_command(sweep, tmp_path):
    assert sweep(*GRID, "optimized_metric=val/obj", "sweep.direction=max").code == 0
    assert best_x(tmp_path) == 9
    assert sweep("sweep", "resume", "s", "sweep.direction=min").code == 0
    assert best_x(tmp_path) == 2
    assert sweep("sweep", "resume", "s", "optimized_metric=val/own_accuracy", "sweep.direction=null").code == 0
    assert best_x(tmp_path) == 9
    assert json.loads((tmp_path / "s/0/result.json").read_text())["metrics"]["val/own_accuracy"] == 0.5


def test_the_direction_of_one_metric_is_not_applied_to_another(sweep, tmp_path):
    assert sweep(*GRID, "optimized_metric=val/obj", "sweep.direction=min").code == 0
    assert sweep("sweep", "report", "s", "metric=val/own_accuracy").code == 0
    assert xs_of(tmp_path) == [9, 5, 2]


def test_without_a_direction_a_report_shows_the_values_and_names_no_best_config(sweep, tmp_path):
    assert sweep(*GRID, "optimized_metric=val/obj", "sweep.direction=min").code == 0
    assert (tmp_path / "s/best.yaml").is_file()
    reported = sweep("sweep", "report", "s", "metric=val/way")
    assert reported.code == 0, reported.err
    told = "no config is called the best: it is unknown whether small or large values of 'val/way' are good"
    assert told in reported.out
    assert "written: s/report.md, s/report.csv\n" in reported.out
    assert not (tmp_path / "s/best.yaml").exists()
    assert xs_of(tmp_path) == [5, 2, 9]
    assert sweep("report", "s", "metric=val/way", "to=page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    assert "no config is called the best" in page
    assert "The best" not in page
    assert sweep("report", "s", "metric=val/way", "direction=max", "to=page.html").code == 0
    assert "The best of 3 configs by val/way: 8 " in (tmp_path / "page.html").read_text()
    assert sweep("sweep", "report", "s", "metric=val/way", "direction=max").code == 0
    assert best_x(tmp_path) == 2


def test_a_ledger_of_an_earlier_version_is_reported_by_the_name_of_the_metric(sweep, tmp_path):
    assert sweep(*GRID, "optimized_metric=val/own_loss").code == 0
    with sqlite3.connect(tmp_path / "s/sweep.sqlite") as ledger:
        ledger.execute("DROP TABLE optimized")
    assert sweep("sweep", "report", "s").code == 0
    assert best_x(tmp_path) == 2
