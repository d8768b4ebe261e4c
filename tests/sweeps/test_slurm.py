"""Sweeps on a real Slurm cluster of two nodes: requeue, preemption, cancellation, refusal and outages."""

import json
import os
import re
import signal
import sqlite3
import time

import pytest

pytestmark = pytest.mark.slurm
TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
WAIT = "+callbacks.wait._target_=pieces.Wait"
SWEEP = "hydra.sweep.dir=s"
SLURM = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=main"]
# epochs of 0.3 s, with a checkpoint only when a signal arrives
N_EPOCHS = 15
EPOCHS = ["data=xor", "logger=none", "callbacks=checkpoint", f"trainer.max_epochs={N_EPOCHS}", "test=false"]
# with a limit of 10 minutes every USR2 counts as its end; Slurm itself sends it 7 minutes after the start or later
TIME_LIMIT = "hydra.launcher.timeout_min=10"
SLOW = [*EPOCHS, "+callbacks.checkpoint.every_n_epochs=50", "+callbacks.slow._target_=pieces.Slow"]


@pytest.fixture
def start_sweep(start_sweep):
    """Return a function that starts a sweep of Slurm jobs."""
    return lambda *args: start_sweep(*args, *SLURM)


@pytest.fixture
def kill_with_queued_job(slurm, start_sweep, wait_until, pieces):
    """Return a function that starts a sweep while no node accepts jobs, and kills it when its job is queued."""

    def start_and_kill():
        for name in slurm.names:
            slurm.run("scontrol", "update", f"nodename={name}", "state=drain", "reason=test")
        sweep = start_sweep(*TINY, "seed=1")
        wait_until(lambda: (pieces / "s/sweep.sqlite").exists() and read_slurm_ids(pieces))
        os.kill(sweep.pid, signal.SIGKILL)
        sweep.wait()

    return start_and_kill


def read_slurm_ids(directory):
    with sqlite3.connect(directory / "s/sweep.sqlite") as database:
        try:
            return dict(database.execute("SELECT number, id FROM slurm").fetchall())
        except sqlite3.OperationalError:  # no job was submitted yet
            return {}


def has_epochs(directory, number, count=3):
    """Return whether a job has finished some epochs."""
    file = directory / f"epochs-{number}"
    return file.exists() and len(file.read_text()) >= count


def test_a_queued_job_is_shown_as_queued_and_is_not_changed(slurm, jobs, pieces, command, kill_with_queued_job):
    kill_with_queued_job()
    before = (pieces / "s/sweep.sqlite").read_bytes()
    shown = command("sweep", "show", "s").out
    [slurm_id] = read_slurm_ids(pieces).values()
    assert re.search(r"^#0 +queued ", shown, re.MULTILINE)
    assert f"Slurm job {slurm_id}, waits for a machine (" in shown
    assert json.loads(command("sweep", "show", "s", "--json").out)[0]["slurm"]["state"] == "PENDING"
    assert (pieces / "s/sweep.sqlite").read_bytes() == before
    slurm.run("scancel", slurm_id)
    time.sleep(1.1)  # the queue is read at most once a second
    assert re.search(r"^#0 +interrupted ", command("sweep", "show", "s").out, re.MULTILINE)
    assert jobs()[0].state == "running"  # the ledger


@pytest.mark.slow
def test_queued_jobs_outlive_a_killed_command_and_are_not_submitted_again(
    slurm, start_sweep, jobs, pieces, process, wait_until
):
    sweep = start_sweep(*TINY, WAIT, "+callbacks.wait.seconds=5", "seed=1,2,3,4")
    wait_until(lambda: (pieces / "s/0/.hydra").exists() and len(read_slurm_ids(pieces)) == 4)
    os.kill(sweep.pid, signal.SIGKILL)
    sweep.wait()
    assert process("sweep", "show", "s").out.count(" queued ") == 2
    resumed = process("sweep", "resume", "s")
    assert resumed.code == 0, resumed.err
    wait_until(lambda: all(job.state == "done" for job in jobs()))
    assert [job.attempts for job in jobs()] == [1] * 4
    assert {int(slurm_id) for slurm_id in read_slurm_ids(pieces).values()} == {
        *range(int(read_slurm_ids(pieces)[0]), int(read_slurm_ids(pieces)[0]) + 4)
    }


@pytest.mark.slow
def test_a_job_that_slurm_starts_late_runs_although_it_was_marked_as_interrupted(
    slurm, jobs, pieces, kill_with_queued_job, wait_until
):
    kill_with_queued_job()
    with sqlite3.connect(pieces / "s/sweep.sqlite") as database:
        database.execute("UPDATE job SET state = 'interrupted'")
    for name in slurm.names:
        slurm.run("scontrol", "update", f"nodename={name}", "state=resume")
    wait_until(lambda: jobs()[0].state == "done")
    assert jobs()[0].attempts == 1


@pytest.mark.slow
@pytest.mark.parametrize("event", ["requeue", "preemption", "time limit", "node"])
def test_a_job_that_slurm_restarts_continues_as_the_same_attempt(
    event, slurm, start_sweep, jobs, pieces, process, wait_until
):
    limit = [TIME_LIMIT, "hydra.launcher.max_num_timeout=1"] if event == "time limit" else []
    sweep = start_sweep(*SLOW, "+callbacks.slow.progress=epochs", "seed=1,2", *limit)
    wait_until(lambda: has_epochs(pieces, 0) and has_epochs(pieces, 1), sweep)
    slurm_id = read_slurm_ids(pieces)[0]
    interrupt(slurm, event, slurm_id)
    assert sweep.wait(200) == 0
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1), ("done", 1)], (
        pieces / "output.txt"
    ).read_text()
    check_equal_results(pieces, jobs()[0], process)
    if event != "node":  # it has saved, possibly before the end of an epoch was logged
        assert len((pieces / "epochs-0").read_text()) <= N_EPOCHS + 1


def interrupt(slurm, event, slurm_id):
    """Let a running job be restarted."""
    if event == "requeue":
        slurm.run("scontrol", "requeue", slurm_id)
    elif event == "preemption":
        slurm.run("sbatch", "--partition=high", "--nodes=2", "--output=/dev/null", "--wrap", "sleep 2")
    elif event == "time limit":
        slurm.run("scancel", "--signal=USR2", slurm_id)  # as Slurm does some time before the limit
    else:
        name = slurm.run("squeue", "--noheader", "--format=%N", f"--jobs={slurm_id}").strip()
        slurm.kill_node(name)
        time.sleep(1)
        slurm.start_node(name)


def check_equal_results(directory, job, process):
    """Compare a job with a run that was never interrupted."""
    assert process(*SLOW, "+callbacks.slow.progress=epochs", "seed=1", "hydra.run.dir=whole").code == 0
    uninterrupted = json.loads((directory / "whole/result.json").read_text())
    assert job.result["metrics"] == uninterrupted["metrics"]


@pytest.mark.slow
def test_the_reason_is_shown_if_a_job_has_reached_its_time_limit_too_often(
    slurm, start_sweep, jobs, pieces, wait_until
):
    sweep = start_sweep(*SLOW, "+callbacks.slow.progress=epochs", "seed=1", TIME_LIMIT)
    wait_until(lambda: has_epochs(pieces, 0), sweep)
    slurm.run("scancel", "--signal=USR2", read_slurm_ids(pieces)[0])
    assert sweep.wait(200) == 1
    assert (jobs()[0].state, jobs()[0].attempts) == ("interrupted", 1)
    assert f"reached its time limit: {TIME_LIMIT}" in (pieces / "output.txt").read_text()
    assert json.loads((pieces / "s/0/result.json").read_text())["state"] == "interrupted"


@pytest.mark.slow
def test_a_cancelled_job_is_interrupted_and_its_next_attempt_waits_for_the_end_of_the_first_one(
    slurm, start_sweep, jobs, pieces, process, wait_until
):
    sweep = start_sweep(*SLOW, "+callbacks.slow.progress=epochs", "seed=1", "sweep.retries=1")
    wait_until(lambda: has_epochs(pieces, 0), sweep)
    slurm.run("scancel", slurm_id := read_slurm_ids(pieces)[0])
    assert sweep.wait(100) == 0
    output = (pieces / "output.txt").read_text()
    assert re.search("#0 interrupted in ", output)
    assert f"Slurm job {slurm_id} was cancelled" in output
    assert "is in use" not in output
    assert (jobs()[0].state, jobs()[0].attempts) == ("done", 2)
    check_equal_results(pieces, jobs()[0], process)


@pytest.mark.slow
def test_refused_jobs_are_submitted_later(slurm, start_sweep, jobs, pieces, wait_until):
    sweep = start_sweep(*TINY, WAIT, "+callbacks.wait.seconds=5", "seed=1,2,3", "sweep.workers=2")
    wait_until(lambda: (pieces / "s/0/.hydra").exists(), sweep)
    slurm.run("scontrol", "update", "partition=main", "state=inactive")
    wait_until(lambda: "no job is accepted at the moment" in (pieces / "output.txt").read_text(), sweep)
    assert [job.state for job in jobs()] != ["done"] * 3
    slurm.run("scontrol", "update", "partition=main", "state=up")
    assert sweep.wait(100) == 0
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1)] * 3
    assert (pieces / "output.txt").read_text().count("no job is accepted at the moment") == 1


@pytest.mark.slow
def test_invalid_settings_of_slurm_are_one_error(slurm, jobs, pieces, process):
    outcome = process("-m", *TINY, "seed=1,2", SWEEP, *SLURM, "hydra.launcher.partition=missing")
    assert outcome.code == 1
    assert "job 0: rejected by Slurm: invalid partition specified: missing" in outcome.err
    assert "Traceback" not in outcome.err
    assert [(job.state, job.attempts) for job in jobs()] == [("planned", 0)] * 2


@pytest.mark.slow
def test_a_sweep_survives_an_outage_of_the_controller(slurm, start_sweep, jobs, pieces, wait_until):
    sweep = start_sweep(*TINY, WAIT, "+callbacks.wait.seconds=5", "seed=1,2,3", "sweep.workers=2")
    wait_until(lambda: (pieces / "s/0/.hydra").exists(), sweep)
    slurm.stop_controller()
    wait_until(lambda: "no job is accepted at the moment" in (pieces / "output.txt").read_text(), sweep)
    slurm.start_controller()
    assert sweep.wait(100) == 0
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1)] * 3


@pytest.mark.slow
def test_ctrl_c_ends_running_and_queued_jobs(slurm, start_sweep, jobs, pieces, wait_until):
    sweep = start_sweep(*SLOW, "+callbacks.slow.progress=epochs", "seed=1,2,3,4")
    wait_until(lambda: has_epochs(pieces, 0) and has_epochs(pieces, 1) and len(read_slurm_ids(pieces)) == 4, sweep)
    start_time = time.monotonic()
    os.killpg(sweep.pid, signal.SIGINT)
    assert sweep.wait(60) == 130
    assert time.monotonic() - start_time < 30
    assert [job.state for job in jobs()] == ["interrupted"] * 4
    assert "scancel" not in (pieces / "output.txt").read_text()
    assert [(pieces / f"s/{number}/result.json").exists() for number in range(4)] == [True, True, False, False]


@pytest.mark.slow
def test_a_node_without_the_shared_directory_is_avoided(slurm, start_sweep, jobs, pieces):
    with slurm.hidden_directory("node2", pieces):
        sweep = start_sweep(*TINY, "seed=1,2,3,4")
        assert sweep.wait(200) == 0
    output = (pieces / "output.txt").read_text()
    assert [job.state for job in jobs()] == ["done"] * 4
    assert {job.host for job in jobs()} == {"node1"}
    assert re.search(
        "is put back into the queue: Slurm job [0-9]+ ended on node2 .*; no further job runs on node2", output
    )
