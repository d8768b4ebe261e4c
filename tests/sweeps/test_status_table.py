"""Lines that show the jobs of a sweep."""

import platform
import re
import time

import pytest

from trainer.sweeps.status_table import format_job_lines
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.slurm_queue import SlurmJob

HINT = "if it is gone: trainer sweep resume DIRECTORY --force"


@pytest.mark.parametrize(
    ("slurm_job", "host", "state", "location"),
    [
        (SlurmJob("16", "PENDING", "", "Priority"), "login", "queued", "Slurm job 16, waits for a machine (Priority)"),
        (SlurmJob("16", "RUNNING", "node2"), "node2", "running", "Slurm job 16 on node2"),
        (
            SlurmJob("16", "UNREACHABLE"),
            "node2",
            "running",
            f"Slurm job 16, last on node2; Slurm cannot be asked from this machine; {HINT}",
        ),
        (None, "elsewhere", "running", f"process 5 on elsewhere, which cannot be checked from this machine; {HINT}"),
        (None, platform.node(), "running", None),
    ],
    ids=["queued", "running", "unreachable", "remote", "local"],
)
def test_a_running_job_is_shown_with_its_machine_and_its_duration_so_far(slurm_job, host, state, location):
    job = Job(3, "aaaa", ["seed=1"], "running", 1, seconds=20.0, host=host, pid=5, started=time.time() - 10)
    line, *locations = format_job_lines([job], {3: slurm_job} if slurm_job else {})
    number, shown_state, seconds, *_ = line.split()
    assert (number, shown_state) == ("#3", state)
    assert 30 <= float(seconds) < 40
    assert locations == ([f"       {location}"] if location else [])


@pytest.mark.slow
def test_the_progress_is_printed_after_each_job_in_one_process(command):
    job = ["data=xor", "callbacks=checkpoint", "logger=none", "trainer.max_epochs=1"]
    outcome = command("-m", *job, "seed=1,2", "optimized_metric=val/loss", "hydra.sweep.dir=s")
    assert outcome.code == 0, outcome.err
    loss = "val/loss [0-9.]+"
    first, second = re.findall("^#.*", outcome.out, re.MULTILINE)
    status = rf"\[2 jobs: 1 planned, 1 done; best {loss} \(#0\); about [0-9]+ s left\]"
    assert re.fullmatch(rf"#0 done in [0-9.]+ s  {loss}  {status}", first)
    assert re.fullmatch(rf"#1 done in [0-9.]+ s  {loss}  \[2 jobs: 2 done; best {loss} \(#[01]\)\]", second)
    assert "precision" not in outcome.out  # of single classes


def test_a_failed_job_in_one_process_is_counted(command, pieces):
    job = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1"]
    fails = ["+callbacks.wait._target_=pieces.Wait", "+callbacks.wait.fails=always,''"]
    outcome = command("-m", *job, *fails, "hydra.sweep.dir=s")
    assert outcome.code == 1
    first, second = re.findall("^#.*", outcome.out, re.MULTILINE)
    assert "[2 jobs: 1 planned, 1 failed]" in first
    assert "[2 jobs: 1 done, 1 failed" in second
