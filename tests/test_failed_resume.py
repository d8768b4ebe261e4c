"""Finished runs that cannot be resumed: they are unchanged until their first new step."""

import csv
import json
from pathlib import Path

import pytest

PIECES = """
from pathlib import Path
from pytorch_lightning import Callback


class Fail(Callback):
    def _fail(self, hook):
        if Path(hook).exists():
            raise RuntimeError(f"failure in {hook}")

    def on_fit_start(self, *_):
        self._fail("on_fit_start")

    def on_train_batch_start(self, *_):
        self._fail("on_train_batch_start")

    def on_validation_start(self, *_):
        self._fail("on_validation_start")
"""
RUN = ["data=xor", "model=mlp", "callbacks=[checkpoint]", "trainer.max_epochs=1"]
FAIL = "+callbacks.fail._target_=pieces.Fail"


@pytest.fixture
def finished(command, tmp_path):
    (tmp_path / "pieces.py").write_text(PIECES)
    outcome = command(*RUN, FAIL, "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    return tmp_path / "run"


def read_files(run: Path):
    """Return the content of all files of a run by path, except its log."""
    files = [file for file in run.rglob("*") if file.is_file() and file.name not in ("trainer.log", ".lock")]
    return {str(file.relative_to(run)): file.read_bytes() for file in files}


@pytest.mark.slow
@pytest.mark.parametrize("hook", ["on_fit_start", pytest.param("on_train_batch_start", marks=pytest.mark.slow)])
def test_a_run_that_cannot_be_resumed_keeps_its_result_its_config_and_its_logs(hook, finished, command, tmp_path):
    files = read_files(finished)
    (tmp_path / hook).touch()
    with pytest.raises(RuntimeError, match=hook):
        command("resume", "run", "trainer.max_epochs=2", "--trust=pieces")
    new_files = read_files(finished)
    assert {name: new_files.get(name) for name in files} == files
    assert json.loads(new_files["result.json"])["state"] == "finished"
    (tmp_path / hook).unlink()
    outcome = command("resume", "run", "trainer.max_epochs=2", "--trust=pieces")
    assert outcome.code == 0, outcome.err
    result = json.loads((finished / "result.json").read_text())
    assert (result["state"], result["epochs"], result["steps"]) == ("finished", 2, 200)
    assert command(*RUN, FAIL, "trainer.max_epochs=2", "hydra.run.dir=uninterrupted").code == 0
    assert (finished / "metrics.csv").read_bytes() == (tmp_path / "uninterrupted/metrics.csv").read_bytes()


def test_a_resumed_run_that_fails_after_new_steps_has_failed(finished, command, tmp_path):
    (tmp_path / "on_validation_start").touch()
    with pytest.raises(RuntimeError, match="on_validation_start"):
        command("resume", "run", "trainer.max_epochs=2", "--trust=pieces")
    result = json.loads((finished / "result.json").read_text())
    assert (result["state"], result["error"]) == ("failed", "RuntimeError: failure in on_validation_start")
    config = (finished / "config.yaml").read_text()
    assert "max_epochs: 2" in config


def test_a_resumed_run_without_remaining_steps_logs_its_test_once(finished, command):
    outcome = command("resume", "run", "+trainer.min_epochs=1", "--trust=pieces")
    assert outcome.code == 0, outcome.err
    rows = [*csv.DictReader((finished / "metrics.csv").read_text().splitlines())]
    assert len([row for row in rows if row["test/loss"]]) == 1
    assert json.loads((finished / "result.json").read_text())["state"] == "finished"
    assert "min_epochs: 1" in (finished / "config.yaml").read_text()
