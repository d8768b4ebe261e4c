"""Ledger with several writers, killed processes and invalid files."""

import json
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from trainer.core.errors import UserError
from trainer.sweeps.store import job_store
from trainer.sweeps.store.dead_jobs import mark_dead_jobs
from trainer.sweeps.store.job_store import LEDGER_FILENAME, Ledger


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger.open_or_create(tmp_path)
    ledger.add_jobs(["seed=1,2"], {"aaaa": ["seed=1"], "bbbb": ["seed=2"]})
    return ledger


# run by several processes: claim every job
CLAIM = """
import sys
from pathlib import Path
from trainer.sweeps.store.job_store import Ledger

ledger = Ledger.open_or_create(Path(sys.argv[1]))
ledger.add_jobs(["seed=range(0,20)"], {f"{number:04}": [f"seed={number}"] for number in range(20)})
print(*[job.number for job in ledger.jobs() if ledger.claim(job)])
"""


def test_a_job_is_claimed_by_a_single_process(tmp_path):
    command = [sys.executable, "-c", CLAIM, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    numbers = [int(number) for process in processes for number in process.communicate(timeout=120)[0].split()]
    assert sorted(numbers) == [*range(20)]
    assert [job.attempts for job in Ledger(tmp_path).jobs()] == [1] * 20


def test_numbers_are_unique(ledger):
    ledger.add_jobs(["seed=2,3"], {"bbbb": ["seed=2"], "cccc": ["seed=3"]})
    assert [(job.number, job.identity, job.overrides) for job in ledger.jobs()] == [
        (0, "aaaa", ["seed=1"]),
        (1, "bbbb", ["seed=2"]),
        (2, "cccc", ["seed=3"]),
    ]


def test_a_job_whose_process_was_killed_is_interrupted_or_done_if_its_result_was_written(ledger):
    dying = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    for job in ledger.jobs():
        assert ledger.claim(job)
        ledger.assign_process(job.number, dying.pid)
    mark_dead_jobs(ledger)
    assert [job.state for job in ledger.jobs()] == ["running", "running"]
    dying.kill()
    dying.wait()
    (ledger.sweep / "1").mkdir()
    result = {"state": "finished", "metrics": {"val/loss": 0.5}, "seconds": 3.0}
    (ledger.sweep / "1/result.json").write_text(json.dumps(result))
    mark_dead_jobs(ledger)
    assert [(job.state, job.result, job.seconds) for job in ledger.jobs()] == [
        ("interrupted", None, 0.0),
        ("done", result, 3.0),
    ]


def test_a_process_that_reuses_a_process_id_does_not_own_the_job(ledger):
    [job, _] = ledger.jobs()
    ledger.claim(job)
    with sqlite3.connect(ledger.file) as database:
        database.execute("UPDATE job SET process_start_time = '1'")
    mark_dead_jobs(ledger)
    assert ledger.job(0).state == "interrupted"


def test_a_remote_job_runs_until_it_is_marked_as_dead(ledger):
    [job, _] = ledger.jobs()
    ledger.claim(job)
    with sqlite3.connect(ledger.file) as database:
        database.execute("UPDATE job SET host = 'elsewhere'")
    mark_dead_jobs(ledger)
    assert ledger.job(0).state == "running"
    mark_dead_jobs(ledger, include_remote=True)
    assert ledger.job(0).state == "interrupted"


WRITER = """
import os, sys
from pathlib import Path
from trainer.sweeps.store.job_store import Ledger
ledger = Ledger(Path(sys.argv[1]))
print("started", flush=True)
while True:
    for job in ledger.jobs():
        ledger.claim(job)
        ledger.finish(job.number, "failed", "x" * 5000)
"""


def test_kill_9_during_a_write_does_not_corrupt_the_ledger(ledger):
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(ledger.sweep)], stdout=subprocess.PIPE)
        assert writer.stdout.readline() == b"started\n"
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        jobs = ledger.jobs()
        assert [job.identity for job in jobs] == ["aaaa", "bbbb"]
        with sqlite3.connect(ledger.file) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_full_disk_is_an_error_without_loss(ledger, monkeypatch):
    connect = sqlite3.connect

    def full(*args, **kwargs):
        database = connect(*args, **kwargs)
        database.execute("PRAGMA max_page_count = 1")  # SQLite may not add pages
        return database

    monkeypatch.setattr(job_store.sqlite3, "connect", full)
    jobs = {f"{number:016}": ["x" * 1000] for number in range(50)}
    with pytest.raises(
        UserError, match=r"^cannot use the ledger '.*': database or disk is full; its content is unchanged$"
    ):
        ledger.add_jobs(["more"], jobs)
    monkeypatch.undo()
    assert len(ledger.jobs()) == 2


def test_a_foreign_file_is_an_error_and_stays_unchanged(tmp_path, command):
    for name, write in {
        "text": lambda file: file.write_text("no ledger\n" * 200),
        "other": write_other_database,
    }.items():
        (tmp_path / name).mkdir()
        file = tmp_path / name / LEDGER_FILENAME
        write(file)
        content = file.read_bytes()
        for args in (["sweep", "resume", name], ["-m", "data=xor", "seed=1,2", f"hydra.sweep.dir={name}"]):
            outcome = command(*args)
            assert outcome.code == 1
            assert f"'{name}/{LEDGER_FILENAME}' is not a ledger of this trainer; name another directory" in outcome.err
        assert file.read_bytes() == content


def write_other_database(file):
    """Write a database of another program."""
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE trials (number INTEGER)")
    database.close()


def test_a_ledger_of_another_version_is_an_error(ledger, command):
    with sqlite3.connect(ledger.file) as database:
        database.execute("PRAGMA user_version = 7")
    assert "is a ledger of version 7, this trainer reads 3" in command("sweep", "show", str(ledger.sweep)).err


def test_a_directory_without_a_sweep_is_an_error(command):
    assert (
        "'nowhere' is not a sweep directory: it contains no sweep.sqlite" in command("sweep", "resume", "nowhere").err
    )
    assert "sweep resume: the following arguments are required: directory  (" in command("sweep", "resume").err
    assert "did you mean 'resume'?" in command("sweep", "resum", "nowhere").err
