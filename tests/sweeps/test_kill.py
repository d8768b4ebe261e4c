"""Sweeps that are killed, and sweeps that two processes run."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

KILL = [sys.executable, str(Path(__file__).with_name("kill.py"))]


def run_kill_script(directory, *args):
    answer = subprocess.run([*KILL, "--directory", str(directory / "k"), *args], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert re.search(r"jobs done after \d+ kills, \d+ attempts more than jobs(; equal results)?\n", answer.stdout)
    return answer.stdout


@pytest.mark.slow
def test_a_sweep_that_was_killed_twice_has_the_same_results(tmp_path):
    run_kill_script(tmp_path, "--jobs", "4", "--kills", "2")


@pytest.mark.slow
def test_a_search_that_was_killed_has_the_same_trials_and_results(tmp_path):
    run_kill_script(tmp_path, "--search", "--jobs", "8", "--kills", "3")


@pytest.mark.slow
def test_two_searchers_that_share_a_ledger_and_are_killed_run_every_trial_once(tmp_path):
    run_kill_script(tmp_path, "--search", "--jobs", "10", "--kills", "3", "--workers", "2", "--sweepers", "2")


@pytest.mark.slow
def test_two_sweepers_that_share_a_ledger_and_are_killed_run_every_job_once(tmp_path):
    run_kill_script(tmp_path, "--jobs", "8", "--kills", "4", "--workers", "2", "--sweepers", "2")


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"], ids=["in-turn", "side-by-side"])
def test_two_commands_on_one_sweep_at_once_run_every_job_once(tmp_path, workers):
    output = run_kill_script(tmp_path, "--jobs", "6", "--kills", "0", "--workers", workers, "--sweepers", "2")
    assert "6 jobs done after 0 kills, 0 attempts more than jobs; equal results" in output


@pytest.mark.slow
def test_twenty_kills(tmp_path):
    run_kill_script(tmp_path)


@pytest.mark.slow
def test_a_fused_sweep_whose_command_and_workers_are_killed_has_the_results_of_jobs_alone(tmp_path):
    run_kill_script(tmp_path, "--jobs", "8", "--kills", "4", "--workers", "2", "--fuse", "3")


@pytest.mark.slow
def test_a_job_outlives_its_killed_sweep_and_is_not_run_twice(tmp_path, pieces, jobs, command):
    import os
    import signal
    import time

    tiny = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
    args = [*tiny, "+callbacks.wait._target_=pieces.Wait", "+callbacks.wait.seconds=8", "seed=1,2"]
    sweep = ["--multirun", *args, "hydra.sweep.dir=s", "sweep.workers=1"]
    process = subprocess.Popen([sys.executable, "-m", "trainer", *sweep], cwd=tmp_path)
    while not (tmp_path / "s/0/.hydra").exists():
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)  # not the job
    process.wait()
    assert command(*sweep).code == 0
    deadline = time.monotonic() + 60
    while " running " in command("sweep", "show", "s").out and time.monotonic() < deadline:
        time.sleep(0.5)
    assert command(*sweep).code == 0  # writes the states that `show` has printed
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1), ("done", 1)]


@pytest.mark.slow
@pytest.mark.slurm
def test_a_sweep_on_slurm_whose_command_nodes_and_jobs_are_killed_has_the_results_of_a_sequential_one(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="not installed: make install-dev")
    if missing := runpy.run_path(str(Path(__file__).with_name("slurm_cluster.py")))["find_missing_requirement"]():
        pytest.skip(missing)
    script = Path(__file__).with_name("kill_slurm.py")
    command = [sys.executable, str(script), "--jobs", "4", "--kills", "3", "--directory", str(tmp_path / "k")]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert re.search(r"^4 jobs done after \d+ kills .* equal results$", answer.stdout, re.MULTILINE)
