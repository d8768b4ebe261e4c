"""Jobs whose sweep or forkserver was killed: they are recognized as running, and no second process starts."""

import os
import platform
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from trainer.artifacts.run_lock import LOCK_FILENAME
from trainer.sweeps import parallel_runner
from trainer.sweeps.executors.worker import Attempt
from trainer.sweeps.other_processes import find_awaited_jobs
from trainer.sweeps.store.dead_jobs import find_dead_jobs, mark_dead_jobs
from trainer.sweeps.store.job_store import Ledger

TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
WAIT = "+callbacks.wait._target_=pieces.Wait"
DEAD = (platform.node(), 1, "0")  # a process that has ended: process 1 has another start time


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger.open_or_create(tmp_path)
    ledger.add_jobs(["seed=1"], {"aaaa": ["seed=1"]})
    return ledger


def set_owner(ledger, owner):
    with sqlite3.connect(ledger.file) as database:
        database.execute("UPDATE job SET host = ?, pid = ?, process_start_time = ?", owner)


def test_a_job_is_alive_while_its_run_directory_is_locked(ledger):
    [job] = ledger.jobs()
    ledger.claim(job)
    set_owner(ledger, DEAD)
    run = ledger.sweep / "0"
    run.mkdir()
    with FileLock(run / LOCK_FILENAME):
        assert find_dead_jobs(ledger) == []
        assert find_dead_jobs(ledger, include_remote=True) == []
    assert [job.state for job in find_dead_jobs(ledger)] == ["interrupted"]
    assert ledger.job(0).state == "running"  # nothing was written


def test_a_worker_takes_over_the_claim_of_a_killed_sweep_unless_a_next_attempt_has_started(ledger, capsys):
    [job] = ledger.jobs()
    ledger.claim(job)
    set_owner(ledger, DEAD)  # the sweep was killed before its worker has started
    mark_dead_jobs(ledger)
    attempt = Attempt(ledger.sweep, 0, 1)
    attempt.assign_to_this_process()
    assert (ledger.job(0).state, ledger.job(0).pid) == ("running", os.getpid())
    set_owner(ledger, DEAD)
    mark_dead_jobs(ledger)
    assert ledger.claim(ledger.job(0))
    with pytest.raises(SystemExit) as stop:
        attempt.assign_to_this_process()
    assert stop.value.code == 0
    assert "attempt 1 of job 0 was taken over by another process" in capsys.readouterr().out


def test_a_job_that_a_worker_takes_over_during_the_check_is_not_marked_as_dead(ledger):
    [job] = ledger.jobs()
    ledger.claim(job)
    set_owner(ledger, DEAD)
    [dead] = find_dead_jobs(ledger)
    ledger.assign_process(0, os.getpid(), 1)
    ledger.finish(0, dead.state, seconds=0, attempt=dead.attempts, pid=dead.pid)
    assert ledger.job(0).state == "running"


def test_jobs_on_other_machines_are_not_awaited_but_reported(ledger, command):
    assert command("-m", *TINY, "seed=1,2", "hydra.sweep.dir=s").code == 0
    sweep = Ledger(Path("s"))
    with sqlite3.connect(sweep.file) as database:
        database.execute("UPDATE job SET state = 'running', host = 'node7', pid = 12 WHERE number = 1")
    content = sweep.file.read_bytes()
    assert find_awaited_jobs(sweep, sweep.jobs()) == {}
    outcome = command("sweep", "resume", "s")
    assert outcome.code == 1
    assert "1 job(s) run on other machines, which cannot be checked from this one:" in outcome.err
    assert "job 1: process 12 on node7" in outcome.err
    assert "if a machine is gone: trainer sweep resume s --force" in outcome.err
    shown = command("sweep", "show", "s")
    assert shown.code == 0
    assert shown.out.endswith("1 running, 1 done\nresults: trainer sweep report s\n")
    with sqlite3.connect(sweep.file) as database:  # the process is gone
        database.execute("UPDATE job SET host = ?, pid = ?, process_start_time = ? WHERE number = 1", DEAD)
    content = sweep.file.read_bytes()
    (sweep.sweep / "1/result.json").unlink()
    shown = command("sweep", "show", "s").out
    assert "#1     interrupted" in shown
    assert shown.endswith("results: trainer sweep report s\nto resume: trainer sweep resume s\n")
    assert sweep.file.read_bytes() == content


def find_forkserver():
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in children}
    return next(pid for pid, line in lines.items() if "forkserver" in line)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux uses a forkserver")
@pytest.mark.slow
def test_jobs_of_a_group_continue_if_the_forkserver_is_killed(command, jobs, pieces):
    def kill():
        while not (pieces / "PROGRESS-1").exists():
            time.sleep(0.05)
        os.kill(find_forkserver(), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    slow = ["+callbacks.slow._target_=pieces.Slow", "+callbacks.slow.progress=PROGRESS", "trainer.max_epochs=8"]
    args = ["data=xor", "callbacks=[fast_loop]", "logger=none", *slow, "seed=1,2", "hydra.sweep.dir=s"]
    outcome = command("-m", *args, "sweep.workers=1", "sweep.fuse=true")
    assert outcome.code == 0, outcome.err
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1)] * 2
    assert [(pieces / f"PROGRESS-{number}").read_text() for number in (0, 1)] == ["." * 8] * 2
    assert "Traceback" not in outcome.err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux uses a forkserver")
@pytest.mark.slow
def test_jobs_continue_if_the_forkserver_is_killed(command, jobs, pieces):
    def kill():
        while [job.pid for job in jobs()].count(None) or not all((pieces / f"s/{n}/.lock").exists() for n in (0, 1)):
            time.sleep(0.05)
        os.kill(find_forkserver(), signal.SIGKILL)

    (pieces / "s").mkdir()
    Ledger.open_or_create(pieces / "s")
    threading.Thread(target=kill, daemon=True).start()
    args = [*TINY, WAIT, "+callbacks.wait.seconds=3", "seed=1,2,3", "hydra.sweep.dir=s", "sweep.workers=2"]
    outcome = command("-m", *args)
    assert outcome.code == 0, outcome.err
    assert [(job.state, job.attempts) for job in jobs()][:2] == [("done", 1)] * 2
    assert jobs()[2].state == "done"  # of a new forkserver
    assert "Traceback" not in outcome.err


@pytest.mark.slow
def test_a_sweep_waits_for_the_jobs_of_a_killed_one(command, jobs, pieces, monkeypatch):
    args = [*TINY, WAIT, "+callbacks.wait.seconds=15", "seed=1,2", "hydra.sweep.dir=s", "sweep.workers=2"]
    process = subprocess.Popen([sys.executable, "-m", "trainer", "-m", *args], cwd=pieces)
    while not all((pieces / f"s/{number}/.lock").exists() for number in (0, 1)):
        time.sleep(0.1)
    process.kill()
    process.wait()
    pids = [job.pid for job in jobs()]

    def kill_when_awaited():
        while not (pieces / "waiting").exists():
            time.sleep(0.05)
        os.kill(pids[1], signal.SIGKILL)

    threading.Thread(target=kill_when_awaited, daemon=True).start()
    find = parallel_runner.find_awaited_jobs
    monkeypatch.setattr(parallel_runner, "find_awaited_jobs", lambda *args: (pieces / "waiting").touch() or find(*args))
    outcome = command("sweep", "resume", "s")
    assert outcome.code == 0, outcome.err
    commands = f"#0 (to stop it: kill {pids[0]}), #1 (to stop it: kill {pids[1]})"
    assert f"waiting for jobs that other processes run: {commands}\n" in outcome.out
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1), ("done", 2)]
