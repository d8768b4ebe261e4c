"""Direction of the metric in sweeps and reports: set for the sweep or inferred from the metric's name."""

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
SEARCH = ["-m", *TINY, OBJ, "+callbacks.o.x=interval(0,9)", "sweep.n_trials=4", "hydra.sweep.dir=s"]


@pytest.fixture
def sweep(command, tmp_path):
    """Return the command, after writing the callback of this file."""
    (tmp_path / "pieces.py").write_text(PIECES)
    return command


def best_x(tmp_path):
    return yaml.safe_load((tmp_path / "s/best.yaml").read_text())["callbacks"]["o"]["x"]


def read_xs(tmp_path):
    lines = (tmp_path / "s/report.csv").read_text().splitlines()[1:]
    return [float(re.search(r"o\.x=([^,]+)", line)[1]) for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "order"),
    [
        (["optimized_metric=val/obj", "sweep.direction=min"], [2, 5, 9]),
        pytest.param(["optimized_metric=val/obj", "sweep.direction=max"], [9, 5, 2], marks=pytest.mark.slow),
        (["optimized_metric=val/own_accuracy"], [9, 5, 2]),
        (["optimized_metric=val/own_loss"], [2, 5, 9]),
        (["optimized_metric=val/own_loss", "sweep.direction=max"], [9, 5, 2]),
        (["optimized_metric=[val/obj,val/way]", "sweep.direction=[min,max]"], [2, 5, 9]),
        pytest.param(
            ["optimized_metric=[val/way,val/obj]", "sweep.direction=[min,min]"], [9, 5, 2], marks=pytest.mark.slow
        ),
    ],
)
def test_the_best_config_of_a_sweep_depends_on_its_direction(overrides, order, sweep, tmp_path):
    outcome = sweep(*GRID, *overrides)
    assert outcome.code == 0, outcome.err
    assert read_xs(tmp_path) == order
    assert best_x(tmp_path) == order[0]
    assert ("looks for the worst 'val/own_loss'" in outcome.out) == (
        "val/own_loss" in overrides[0] and len(overrides) > 1
    )


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["min", "max"])
def test_the_best_config_of_a_search_is_its_best_trial(direction, sweep, tmp_path):
    outcome = sweep(*SEARCH, "optimized_metric=val/obj", f"sweep.direction={direction}")
    assert outcome.code == 0, outcome.err
    best = re.search(r"best  #\d+  val/obj \S+  \S+o\.x=(\S+)", outcome.out)
    xs = read_xs(tmp_path)
    chosen = (min if direction == "min" else max)(xs, key=lambda x: (x - 2.0) ** 2)
    assert best_x(tmp_path) == float(best[1]) == xs[0] == chosen


@pytest.mark.slow
def test_with_several_metrics_the_best_experiment_names_the_compared_one(sweep, tmp_path):
    outcome = sweep(*GRID, "optimized_metric=[val/obj,val/way]", "sweep.direction=[min,max]")
    assert "compared by val/obj only, not by val/way" in outcome.out
    lines = (tmp_path / "s/best.yaml").read_text().splitlines()
    assert lines[0] == "# The best of 3 configs by val/obj: 0 (1 run)."
    assert "# compared by val/obj only, not by val/way" in lines
    assert "compared by val/obj only" in (tmp_path / "s/report.md").read_text()


@pytest.mark.parametrize(
    "overrides",
    [
        [*GRID, "optimized_metric=val/obj"],
        [*SEARCH, "optimized_metric=val/obj"],
        [*GRID, "optimized_metric=[val/own_loss,val/obj]"],
        ["sweep", "plan", *GRID[1:], "optimized_metric=val/obj"],
    ],
    ids=["sweep", "search", "second metric", "plan"],
)
def test_an_unknown_direction_is_one_error_before_any_job_starts(overrides, sweep, tmp_path):
    outcome = sweep(*overrides)
    assert outcome.code == 1
    message = (
        "error: sweep.direction: it is unknown whether small or large values of 'val/obj' are good; expected min or max"
    )
    assert outcome.err.splitlines() == [message + (" for each metric: [min,max]" if "[val" in overrides[-1] else "")]
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["sweep.direction=min"], "sweep.direction: no effect without optimized_metric"),
        (
            ["optimized_metric=val/obj", "sweep.direction=[min,max]"],
            "invalid value [min,max]; expected min or max for each of val/obj",
        ),
        (
            ["optimized_metric=val/obj", "sweep.direction=minimize"],
            "invalid value minimize; expected min or max for each of val/obj",
        ),
        (["optimized_metric=[val/obj,val/obj]"], "optimized_metric: val/obj, val/obj contains a metric twice"),
    ],
)
def test_an_invalid_direction_is_an_error_before_any_job_starts(overrides, message, sweep, tmp_path):
    outcome = sweep(*GRID, *overrides)
    assert (outcome.code, len(outcome.err.splitlines())) == (1, 1)
    assert message in outcome.err
    assert not (tmp_path / "s").exists()


def test_a_direction_that_contradicts_the_checkpoint_mode_is_an_error(sweep, tmp_path):
    checkpoint = ["callbacks=checkpoint", "callbacks.checkpoint.monitor=val/obj", "callbacks.checkpoint.mode=max"]
    outcome = sweep(*GRID, *checkpoint, "optimized_metric=val/obj_best", "sweep.direction=min")
    message = "sweep.direction: min contradicts callbacks.checkpoint.mode=max, by which 'val/obj_best' is chosen"
    assert message in outcome.err
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
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
    assert sweep("sweep", "report", "s", "--metric=val/own_accuracy").code == 0
    assert read_xs(tmp_path) == [9, 5, 2]


@pytest.mark.slow
def test_without_a_direction_a_report_has_no_best_config(sweep, tmp_path):
    assert sweep(*GRID, "optimized_metric=val/obj", "sweep.direction=min").code == 0
    assert (tmp_path / "s/best.yaml").is_file()
    reported = sweep("sweep", "report", "s", "--metric=val/way")
    assert reported.code == 0, reported.err
    message = "no config is the best: it is unknown whether small or large values of 'val/way' are good"
    assert message in reported.out
    assert "written: s/report.md, s/report.csv\n" in reported.out
    assert not (tmp_path / "s/best.yaml").exists()
    assert read_xs(tmp_path) == [5, 2, 9]
    assert sweep("report", "s", "--metric=val/way", "--to=page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    assert "no config is the best" in page
    assert "The best" not in page
    assert sweep("report", "s", "--metric=val/way", "--direction=max", "--to=page.html").code == 0
    assert "The best of 3 configs by val/way: 8 " in (tmp_path / "page.html").read_text()
    assert sweep("sweep", "report", "s", "--metric=val/way", "--direction=max").code == 0
    assert best_x(tmp_path) == 2


@pytest.mark.slow
def test_for_a_ledger_of_an_earlier_version_the_direction_is_inferred_from_the_name(sweep, tmp_path):
    assert sweep(*GRID, "optimized_metric=val/own_loss").code == 0
    with sqlite3.connect(tmp_path / "s/sweep.sqlite") as ledger:
        ledger.execute("DROP TABLE optimized")
    assert sweep("sweep", "report", "s").code == 0
    assert best_x(tmp_path) == 2
