"""Code and data that have changed since jobs of a sweep were run: named before another job begins, or marked."""

import json
import sys

import pytest

from trainer.artifacts.run_record import Record
from trainer.report.code_versions import code_versions, mixed
from trainer.report.comparison import report_of
from trainer.sweep.store.job_store import Ledger

TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
SHOWN, SWEEP = "+callbacks.o._target_=my_shown.Shown", "hydra.sweep.dir=s"
TABLE = ["data=table", "data.path=my.csv", "data.dir=.", "data.features=2", "data.target=y", "data.task=values"]
CODE = """
from pytorch_lightning import Callback

class Shown(Callback):
    def __init__(self, x):
        self.x = x
    def on_validation_end(self, trainer, pl_module):
        trainer.callback_metrics["val/shown"] = trainer.callback_metrics["val/loss"] * 0 + {formula}
"""
ASKED = "  put back what has changed, or go on with it as it is now: accept_changes=true\n"


def change(file, text):
    """Write another text, as in an editor, before another process imports it."""
    file.write_text(text)
    sys.modules.pop(file.stem, None)


@pytest.mark.parametrize("workers", [[], ["sweep.workers=1"]], ids=["in this process", "in others"])
def test_jobs_of_changed_code_are_refused_by_name_and_marked_where_that_is_accepted(workers, command, tmp_path, jobs):
    file = tmp_path / "my_shown.py"
    file.write_text(CODE.format(formula="self.x"))
    metric = ("optimized_metric=val/shown", "sweep.direction=max")
    first = command("-m", *TINY, SHOWN, "+callbacks.o.x=1,2", *metric, *workers, SWEEP)
    assert first.code == 0, first.err
    assert [*mixed(report_of(tmp_path / "s").groups[0].runs)] == []
    change(file, CODE.format(formula="self.x + 10"))
    again = command("sweep", "resume", "s")  # nothing is left to be run, so nothing is mixed
    assert again.code == 0, again.err
    refused = command("sweep", "resume", "s", "+callbacks.o.x=1,2,3")
    assert refused.code == 1
    assert refused.err == f"error: the sweep in 's' was made with other code or data:\n  my_shown.py: changed\n{ASKED}"
    assert len(jobs()) == 2
    accepted = command("sweep", "resume", "s", "+callbacks.o.x=1,2,3", "accept_changes=true")
    assert accepted.code == 0, accepted.err
    assert [job.tries for job in jobs()] == [1, 1, 1]
    report = command("sweep", "report", "s", "--csv").out
    assert [line.split(",")[0] for line in report.splitlines()[1:]] == [
        "+callbacks.o.x=3 [code 2]",
        "+callbacks.o.x=2 [code 1]",
        "+callbacks.o.x=1 [code 1]",
    ]
    told = "warning: not the same code (my_shown.py): code 1 in 0, 1; code 2 in 2\n"
    assert told in command("sweep", "report", "s").out
    assert command("sweep", "resume", "s", "+callbacks.o.x=1,2,3,4").code == 0  # with the code of the last job
    change(file, CODE.format(formula="self.x + 100"))
    assert "my_shown.py: changed" in command("sweep", "resume", "s", "+callbacks.o.x=1,2,3,4,5").err


def test_a_job_that_failed_may_be_run_again_with_mended_code(command, tmp_path, jobs):
    file = tmp_path / "my_shown.py"
    file.write_text(CODE.format(formula="self.y"))
    assert command("-m", *TINY, SHOWN, "+callbacks.o.x=1,2", SWEEP).code == 1
    change(file, CODE.format(formula="self.x"))
    again = command("sweep", "resume", "s")
    assert again.code == 0, again.err
    assert [job.state for job in jobs()] == ["done", "done"]


def rows(first):
    return "a,b,y\n" + "\n".join(f"{first + i},{i * i % 7},{i % 5}" for i in range(60)) + "\n"


def test_jobs_on_changed_data_are_refused_by_name_and_marked_where_that_is_accepted(command, tmp_path, jobs):
    (tmp_path / "my.csv").write_text(rows(0))
    words = ["-m", *TABLE, *TINY[1:4], SWEEP]
    assert command(*words, "seed=1,2").code == 0
    (tmp_path / "my.csv").write_text(rows(7))
    refused = command("sweep", "resume", "s", "seed=1,2,3")
    assert refused.code == 1
    assert "  data.path=my.csv: other examples (SHA-256 " in refused.err
    assert len(jobs()) == 2
    accepted = command("sweep", "resume", "s", "seed=1,2,3", "accept_changes=true")
    assert accepted.code == 0, accepted.err
    assert "warning: not the same data: 0, 1 | 2\n" in command("sweep", "report", "s", "metric=val/loss").out


def test_jobs_that_an_earlier_version_has_named_in_another_way_stay_done(command, tmp_path, jobs):
    assert command("-m", *TINY, "seed=1,2", SWEEP).code == 0
    for job in jobs():
        Ledger(tmp_path / "s").replan(job.number, f"earlier {job.number}")
    again = command("sweep", "resume", "s", "seed=1,2,3")
    assert again.code == 0, again.err
    assert [(job.identity, job.tries) for job in jobs()] == [(job.result["fingerprint"], 1) for job in jobs()]


@pytest.fixture
def made(tmp_path):
    """Makes a run directory as far as code and data are compared."""

    def make(name, code, seed=1, data="a", **provenance):
        run = tmp_path / name
        run.mkdir()
        (run / "config.yaml").write_text(f"seed: {seed}\ndata: {{_target_: x.Y, seed: {seed}}}\n")
        (run / "provenance.json").write_text(json.dumps({"code": code, **provenance}))
        (run / "result.json").write_text(json.dumps({"state": "finished", "data_sha256": data}))
        return Record(run)

    return make


def test_runs_have_the_same_code_unless_a_file_of_both_differs(made):
    runs = [made("0", {"a.py": "1"}), made("1", {"b.py": "1"}), made("2", {"a.py": "1", "b.py": "2"}), made("3", {})]
    assert code_versions(runs) == [1, 1, 2, 1]
    assert [*mixed(runs)] == ["not the same code (b.py): code 1 in 0, 1, 3; code 2 in 2"]


@pytest.mark.parametrize(
    ("sums", "told"),
    [
        ("aaa", []),
        ("abc", []),  # each seed may have data of its own
        ("aab", ["not the same data: 0, 1 | 2"]),
    ],
)
def test_data_of_another_seed_may_differ_but_not_those_of_some_seeds_alone(sums, told, made):
    assert [*mixed([made(str(seed), {}, seed, data) for seed, data in enumerate(sums)])] == told


def test_a_run_that_was_resumed_with_other_code_is_told(made):
    resumed = [{"code": {"a.py": "2"}, "accepted_changes": ["a.py: changed"]}]
    runs = [made("0", {"a.py": "2"}), made("1", {"a.py": "1"}, resumed=resumed)]
    assert [*mixed(runs)] == ["resumed with other code or data than before: 1"]
