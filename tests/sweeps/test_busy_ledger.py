"""Ledgers that are locked, on a full disk, removed or corrupted while a sweep runs."""

import sqlite3
import threading
import time

import pytest

from trainer.artifacts import ledger_file
from trainer.core.errors import UserError
from trainer.sweeps.executors import worker
from trainer.sweeps.store.job_store import Ledger

TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
WAIT = "+callbacks.wait._target_=pieces.Wait"
SLOW = ["-m", *TINY, WAIT, "+callbacks.wait.seconds=2", "seed=1,2", "hydra.sweep.dir=s"]


def wait_for_lock_file(directory):
    deadline = time.monotonic() + 60
    while not (directory / "s/0/.lock").exists() and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [["sweep.workers=1"], []], ids=["parallel", "in-process"])
def test_a_sweep_waits_while_the_ledger_is_locked(workers, command, jobs, pieces, monkeypatch):
    monkeypatch.setattr(ledger_file, "LOCK_TIMEOUT_SECONDS", 0.1)

    def lock():
        wait_for_lock_file(pieces)
        with sqlite3.connect(pieces / "s/sweep.sqlite", isolation_level=None) as database:
            database.execute("BEGIN EXCLUSIVE")
            time.sleep(4)
            database.execute("COMMIT")
        database.close()

    thread = threading.Thread(target=lock)
    thread.start()
    outcome = command(*SLOW, *workers)
    thread.join()
    assert outcome.code == 0, outcome.err
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1)] * 2
    output = outcome.out + outcome.err
    assert output.count("sweep.sqlite': database is locked; its content is unchanged") == 1


@pytest.mark.slow
def test_a_removed_ledger_is_one_error_and_not_replaced_and_the_jobs_save(command, pieces):
    def remove():
        wait_for_lock_file(pieces)
        (pieces / "s/sweep.sqlite").unlink()

    threading.Thread(target=remove, daemon=True).start()
    outcome = command(*SLOW, "sweep.workers=1")
    assert outcome.code == 1
    assert outcome.err.count("error: ") == 1
    assert "error: the ledger 's/sweep.sqlite' was removed; restore the file to continue" in outcome.err
    assert not (pieces / "s/sweep.sqlite").exists()
    assert (pieces / "s/0/result.json").is_file()  # it was asked to stop, and not killed


def test_a_corrupted_ledger_is_described(tmp_path):
    ledger = Ledger.open_or_create(tmp_path)
    ledger.add_jobs(["seed=1"], {f"{number}" * 16: ["x" * 3000] for number in range(9)})
    with sqlite3.connect(ledger.file) as database:
        database.execute("UPDATE job SET overrides = '[' WHERE number = 1")
    database.close()
    with pytest.raises(UserError, match=r"is corrupted: no valid JSON: Expecting value.*\n  the results of its jobs"):
        ledger.jobs()
    content = ledger.file.read_bytes()
    ledger.file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(UserError, match="is corrupted: database disk image is malformed; expected a backup"):
        ledger.jobs()


def test_a_full_disk_is_retried(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_file, "RETRY_SECONDS", 0.01)
    ledger = Ledger.open_or_create(tmp_path)
    ledger.add_jobs(["seed=1"], {"aaaa": ["seed=1"]})
    ledger.claim(ledger.job(0))
    attempts = []
    assign_process = Ledger.assign_process

    def full_twice(self, *args):
        attempts.append(args)
        if len(attempts) < 3:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            with ledger_file.translate_sqlite_errors(self.file):
                raise error
        return assign_process(self, *args)

    monkeypatch.setattr(Ledger, "assign_process", full_twice)
    worker.Attempt(tmp_path, 0, 1).assign_to_this_process()
    assert len(attempts) == 3
    assert ledger.job(0).started
