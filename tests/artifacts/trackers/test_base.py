"""Loggers of experiment trackers: names, resumed runs, failures of a server."""

import csv

import pytest

from trainer.artifacts.trackers.base import TrackerRun

SHORT = ("data=digits", "model=linear", "trainer.max_epochs=2", "hydra.run.dir=run")
SERVER = '''
from pathlib import Path

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import Logger

from trainer.artifacts.trackers.base import Tracker, TrackerRun


class ServerLogger(Logger):
    """Logger that writes a line into a file for each call; it loses its server in the step `fail_at`."""

    name = version = None

    def __init__(self, file, fail_at):
        super().__init__()
        self.file = file
        self.fail_at = fail_at

    @property
    @rank_zero_experiment
    def experiment(self):
        if self.fail_at == "start":
            raise ConnectionError("no server at http://localhost:1\\ndetails")
        return self

    def note(self, line):
        with open(self.file, "a") as file:
            print(line, file=file)

    def log_hyperparams(self, params):
        self.experiment.note("params")

    def log_metrics(self, metrics, step=None):
        self.note(f"step {step}")
        if step == self.fail_at:
            raise ConnectionError("the server is gone\\ndetails")


class ServerTracker(Tracker, ServerLogger):
    tracker = "server"
    offline_hint = "start the server"

    def __init__(self, save_dir, file, fail_at=None):
        self._run = TrackerRun(Path(save_dir), self.tracker)
        super().__init__(file, fail_at)

    def start(self):
        run_id = self._run.id or "new"
        self.lightning.experiment.note(f"start {run_id}")
        return run_id if self._run.id else "first"
'''


@pytest.fixture
def server(tmp_path):
    """Return the overrides that add the logger, and a function that returns its calls."""
    (tmp_path / "server.py").write_text(SERVER)
    target = "+logger.server._target_=server.ServerTracker"
    directory = "+logger.server.save_dir=${hydra:runtime.output_dir}"
    overrides = (target, directory, f"+logger.server.file={tmp_path}/calls")
    return overrides, lambda: (tmp_path / "calls").read_text().splitlines()


def test_a_run_is_named_after_its_directory_and_a_job_is_grouped_by_its_sweep(tmp_path):
    single = TrackerRun(tmp_path / "digits/09-00", "wandb")
    assert (single.name, single.group) == ("digits/09-00", None)
    sweep = tmp_path / "digits/10-00"
    sweep.mkdir(parents=True)
    (sweep / "multirun.yaml").touch()
    job = TrackerRun(sweep / "3", "wandb")
    assert (job.name, job.group) == ("digits/10-00/3", "digits/10-00")


def test_the_id_of_each_tracker_is_stored_in_the_run_directory(tmp_path):
    assert TrackerRun(tmp_path, "wandb").id is None
    TrackerRun(tmp_path, "wandb").store_id("abc")
    TrackerRun(tmp_path, "mlflow").store_id("def")
    assert [TrackerRun(tmp_path, name).id for name in ("wandb", "mlflow", "comet")] == ["abc", "def", None]


@pytest.mark.slow
def test_a_resumed_training_continues_the_run_of_the_tracker(command, server):
    overrides, read_calls = server
    assert command(*SHORT, *overrides).code == 0
    done = command("resume", "run", "trainer.max_epochs=3", "--trust=server")
    assert done.code == 0, done.err
    assert [line for line in read_calls() if "start" in line] == ["start new", "start first"]


def test_a_run_that_cannot_be_started_is_one_error_before_the_training(command, server, tmp_path):
    done = command(*SHORT, *server[0], "+logger.server.fail_at=start")
    assert done.code == 1
    assert "logger=server: cannot start a run: no server at http://localhost:1\n  start the server" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "run/metrics.csv").exists()


def test_a_training_continues_without_a_logger_whose_server_is_gone(command, server, tmp_path):
    overrides, read_calls = server
    done = command(*SHORT, *overrides, "+logger.server.fail_at=19")
    assert done.code == 0, done.err
    warning = "logger=server: the server is gone; the run continues without this logger"
    assert (done.out + done.err).count(warning) == 1
    assert read_calls() == ["start new", "params", "step 9", "step 19"]
    with (tmp_path / "run/metrics.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file) if row["train/loss"]] == ["9", "19", "29", "39"]
