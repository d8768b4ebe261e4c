"""Changes of code and data between jobs of a sweep."""

import json
import sys

import pytest

from trainer.artifacts.run_record import RunRecord
from trainer.reports.code_versions import assign_code_versions, describe_version_conflicts
from trainer.reports.comparison import build_report
from trainer.sweeps.store.job_store import Ledger

TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
SHOWN, SWEEP = "+callbacks.o._target_=my_shown.Shown", "hydra.sweep.dir=s"
TABLE = ["data=table", "data.path=my.csv", "data.dir=.", "data.target=y", "data.task=regression"]
CODE = """
from pytorch_lightning import Callback

class Shown(Callback):
    def __init__(self, x):
        self.x = x
    def on_validation_end(self, trainer, pl_module):
        trainer.callback_metrics["val/shown"] = trainer.callback_metrics["val/loss"] * 0 + {formula}
"""
ASKED = "  restore the old version, or continue with the new one: accept_changes=true\n"


def change(file, text):
    """Change the text of a module that was imported."""
    file.write_text(text)
    sys.modules.pop(file.stem, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "workers",
    [
        pytest.param([], id="in this process"),
        pytest.param(["sweep.workers=1"], id="in others", marks=pytest.mark.slow),
    ],
)
def test_changed_code_is_an_error_or_marked_in_the_report_if_accepted(workers, command, tmp_path, jobs):
    file = tmp_path / "my_shown.py"
    file.write_text(CODE.format(formula="self.x"))
    metric = ("optimized_metric=val/shown", "sweep.direction=max")
    first = command("-m", *TINY, SHOWN, "+callbacks.o.x=1,2", *metric, *workers, SWEEP)
    assert first.code == 0, first.err
    assert [*describe_version_conflicts(build_report(tmp_path / "s").groups[0].runs)] == []
    change(file, CODE.format(formula="self.x + 10"))
    repeated = command("sweep", "resume", "s")  # no job is left to run
    assert repeated.code == 0, repeated.err
    refused = command("sweep", "resume", "s", "+callbacks.o.x=1,2,3")
    assert refused.code == 1
    assert refused.err == f"error: the sweep in 's' used different code or data:\n  my_shown.py: changed\n{ASKED}"
    assert len(jobs()) == 2
    accepted = command("sweep", "resume", "s", "+callbacks.o.x=1,2,3", "accept_changes=true")
    assert accepted.code == 0, accepted.err
    assert [job.attempts for job in jobs()] == [1, 1, 1]
    report = command("sweep", "report", "s", "--csv").out
    assert [line.split(",")[0] for line in report.splitlines()[1:]] == [
        "+callbacks.o.x=3 [code 2]",
        "+callbacks.o.x=2 [code 1]",
        "+callbacks.o.x=1 [code 1]",
    ]
    message = "warning: not the same code (my_shown.py): code 1 in 0, 1; code 2 in 2\n"
    assert message in command("sweep", "report", "s").out
    assert command("sweep", "resume", "s", "+callbacks.o.x=1,2,3,4").code == 0  # the code of the last job
    change(file, CODE.format(formula="self.x + 100"))
    assert "my_shown.py: changed" in command("sweep", "resume", "s", "+callbacks.o.x=1,2,3,4,5").err


@pytest.mark.slow
def test_a_failed_job_may_be_retried_with_corrected_code(command, tmp_path, jobs):
    file = tmp_path / "my_shown.py"
    file.write_text(CODE.format(formula="self.y"))
    assert command("-m", *TINY, SHOWN, "+callbacks.o.x=1,2", SWEEP).code == 1
    change(file, CODE.format(formula="self.x"))
    repeated = command("sweep", "resume", "s")
    assert repeated.code == 0, repeated.err
    assert [job.state for job in jobs()] == ["done", "done"]


def rows(first):
    return "a,b,y\n" + "\n".join(f"{first + i},{i * i % 7},{i % 5}" for i in range(60)) + "\n"


@pytest.mark.slow
def test_changed_data_are_an_error_or_marked_in_the_report_if_accepted(command, tmp_path, jobs):
    (tmp_path / "my.csv").write_text(rows(0))
    args = ["-m", *TABLE, *TINY[1:4], SWEEP]
    assert command(*args, "seed=1,2").code == 0
    (tmp_path / "my.csv").write_text(rows(7))
    refused = command("sweep", "resume", "s", "seed=1,2,3")
    assert refused.code == 1
    assert "  data.path=my.csv: different examples (SHA-256 " in refused.err
    assert len(jobs()) == 2
    accepted = command("sweep", "resume", "s", "seed=1,2,3", "accept_changes=true")
    assert accepted.code == 0, accepted.err
    assert "warning: not the same data: 0, 1 | 2\n" in command("sweep", "report", "s", "--metric=val/loss").out


@pytest.mark.slow
def test_jobs_with_the_identity_of_an_earlier_version_stay_done(command, tmp_path, jobs):
    assert command("-m", *TINY, "seed=1,2", SWEEP).code == 0
    for job in jobs():
        Ledger(tmp_path / "s").update_identity(job.number, f"earlier {job.number}")
    repeated = command("sweep", "resume", "s", "seed=1,2,3")
    assert repeated.code == 0, repeated.err
    assert [(job.identity, job.attempts) for job in jobs()] == [(job.result["fingerprint"], 1) for job in jobs()]


@pytest.fixture
def make_run(tmp_path):
    """Return a function that creates a run directory with the files that are compared."""

    def make(name, code, seed=1, data="a", **provenance):
        run = tmp_path / name
        run.mkdir()
        (run / "config.yaml").write_text(f"seed: {seed}\ndata: {{_target_: x.Y, seed: {seed}}}\n")
        (run / "provenance.json").write_text(json.dumps({"code": code, **provenance}))
        (run / "result.json").write_text(json.dumps({"state": "finished", "data_sha256": data}))
        return RunRecord(run)

    return make


def test_runs_have_the_same_code_unless_a_file_of_both_differs(make_run):
    runs = [
        make_run("0", {"a.py": "1"}),
        make_run("1", {"b.py": "1"}),
        make_run("2", {"a.py": "1", "b.py": "2"}),
        make_run("3", {}),
    ]
    assert assign_code_versions(runs) == [1, 1, 2, 1]
    assert [*describe_version_conflicts(runs)] == ["not the same code (b.py): code 1 in 0, 1, 3; code 2 in 2"]


@pytest.mark.parametrize(
    ("sums", "message"),
    [
        ("aaa", []),
        ("abc", []),  # each seed may have data of its own
        ("aab", ["not the same data: 0, 1 | 2"]),
    ],
)
def test_data_may_differ_between_all_seeds_but_not_between_some_of_them(sums, message, make_run):
    assert [
        *describe_version_conflicts([make_run(str(seed), {}, seed, data) for seed, data in enumerate(sums)])
    ] == message


def test_a_run_that_was_resumed_with_other_code_is_listed(make_run):
    resumed = [{"code": {"a.py": "2"}, "accepted_changes": ["a.py: changed"]}]
    runs = [make_run("0", {"a.py": "2"}), make_run("1", {"a.py": "1"}, resumed=resumed)]
    assert [*describe_version_conflicts(runs)] == ["resumed with other code or data than before: 1"]
