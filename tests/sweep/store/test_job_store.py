"""The ledger: several writers, processes that die, and files that are none."""

import json
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from trainer.core.errors import UserError
from trainer.sweep.store import job_store as room
from trainer.sweep.store.job_store import LEDGER, Ledger


@pytest.fixture
def ledger(tmp_path):
    made = Ledger.opened(tmp_path)
    made.enrol(["seed=1,2"], {"aaaa": ["seed=1"], "bbbb": ["seed=2"]})
    return made


# what each of several processes tries: to begin every job
TAKE = """
import sys
from pathlib import Path
from trainer.sweep.store.job_store import Ledger

ledger = Ledger.opened(Path(sys.argv[1]))
ledger.enrol(["seed=range(0,20)"], {f"{number:04}": [f"seed={number}"] for number in range(20)})
print(*[job.number for job in ledger.jobs() if ledger.start(job)])
"""


def test_a_job_is_begun_by_one_process_alone(tmp_path):
    command = [sys.executable, "-c", TAKE, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    taken = [int(number) for process in processes for number in process.communicate(timeout=120)[0].split()]
    assert sorted(taken) == [*range(20)]
    assert [job.tries for job in Ledger(tmp_path).jobs()] == [1] * 20


def test_a_number_is_never_given_twice(ledger):
    ledger.enrol(["seed=2,3"], {"bbbb": ["seed=2"], "cccc": ["seed=3"]})
    assert [(job.number, job.identity, job.words) for job in ledger.jobs()] == [
        (0, "aaaa", ["seed=1"]),
        (1, "bbbb", ["seed=2"]),
        (2, "cccc", ["seed=3"]),
    ]


def test_a_job_whose_process_was_killed_is_interrupted_or_done_if_it_left_its_result(ledger):
    dying = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    for job in ledger.jobs():
        assert ledger.start(job)
        ledger.hand_over(job.number, dying.pid)
    ledger.notice_the_dead()
    assert [job.state for job in ledger.jobs()] == ["running", "running"]
    dying.kill()
    dying.wait()
    (ledger.sweep / "1").mkdir()
    result = {"state": "finished", "metrics": {"val/loss": 0.5}, "seconds": 3.0}
    (ledger.sweep / "1/result.json").write_text(json.dumps(result))
    ledger.notice_the_dead()
    assert [(job.state, job.result, job.seconds) for job in ledger.jobs()] == [
        ("interrupted", None, 0.0),
        ("done", result, 3.0),
    ]


def test_a_process_that_got_the_number_of_a_dead_one_is_not_taken_for_it(ledger):
    [job, _] = ledger.jobs()
    ledger.start(job)
    with sqlite3.connect(ledger.file) as database:
        database.execute("UPDATE job SET born = '1'")
    ledger.notice_the_dead()
    assert ledger.job(0).state == "interrupted"


def test_a_job_on_another_machine_runs_until_one_says_that_it_is_gone(ledger):
    [job, _] = ledger.jobs()
    ledger.start(job)
    with sqlite3.connect(ledger.file) as database:
        database.execute("UPDATE job SET host = 'elsewhere'")
    ledger.notice_the_dead()
    assert ledger.job(0).state == "running"
    ledger.notice_the_dead(elsewhere=True)
    assert ledger.job(0).state == "interrupted"


WRITER = """
import os, sys
from pathlib import Path
from trainer.sweep.store.job_store import Ledger
ledger = Ledger(Path(sys.argv[1]))
print("begun", flush=True)
while True:
    for job in ledger.jobs():
        ledger.start(job)
        ledger.end(job.number, "failed", "x" * 5000)
"""


def test_kill_9_in_the_middle_of_writing_leaves_a_whole_ledger(ledger):
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(ledger.sweep)], stdout=subprocess.PIPE)
        assert writer.stdout.readline() == b"begun\n"
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        jobs = ledger.jobs()
        assert [job.identity for job in jobs] == ["aaaa", "bbbb"]
        with sqlite3.connect(ledger.file) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_full_disk_is_told_and_loses_nothing(ledger, monkeypatch):
    connect = sqlite3.connect

    def full(*args, **more):
        database = connect(*args, **more)
        database.execute("PRAGMA max_page_count = 1")  # SQLite keeps to the pages that there are
        return database

    monkeypatch.setattr(room.sqlite3, "connect", full)
    cells = {f"{number:016}": ["x" * 1000] for number in range(50)}
    with pytest.raises(UserError, match="cannot be used: database or disk is full; what it holds is as it was"):
        ledger.enrol(["more"], cells)
    monkeypatch.undo()
    assert len(ledger.jobs()) == 2


def test_what_is_no_ledger_of_ours_is_refused_and_left_as_it_is(tmp_path, command):
    for name, write in {"text": lambda file: file.write_text("no ledger\n" * 200), "other": other}.items():
        (tmp_path / name).mkdir()
        file = tmp_path / name / LEDGER
        write(file)
        before = file.read_bytes()
        for words in (["sweep", "resume", name], ["-m", "data=xor", "seed=1,2", f"hydra.sweep.dir={name}"]):
            outcome = command(*words)
            assert outcome.code == 1
            assert f"'{name}/{LEDGER}' is not a ledger of this trainer; name another directory" in outcome.err
        assert file.read_bytes() == before


def other(file):
    """A database of another program."""
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE trials (number INTEGER)")
    database.close()


def test_a_ledger_of_another_version_is_refused(ledger, command):
    with sqlite3.connect(ledger.file) as database:
        database.execute("PRAGMA user_version = 7")
    assert "is a ledger of version 7, this trainer reads 1" in command("sweep", "show", str(ledger.sweep)).err


def test_a_directory_that_is_no_sweep_is_named(command):
    assert "'nowhere' is no sweep: it has no sweep.sqlite in it" in command("sweep", "resume", "nowhere").err
    assert "name the directory of a sweep" in command("sweep", "resume").err
    assert "did you mean 'resume'?" in command("sweep", "resum", "nowhere").err
