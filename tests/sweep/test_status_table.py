"""Lines that show the jobs of a sweep."""

import platform
import time

import pytest

from trainer.sweep.status_table import format_job_lines
from trainer.sweep.store.job_store import Job
from trainer.sweep.store.slurm_queue import SlurmJob

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
    job = Job(3, "aaaa", ["seed=1"], "running", 1, seconds=20.0, host=host, pid=5, began=time.time() - 10)
    line, *locations = format_job_lines([job], {3: slurm_job} if slurm_job else {})
    number, shown_state, seconds, *_ = line.split()
    assert (number, shown_state) == ("#3", state)
    assert 30 <= float(seconds) < 40
    assert locations == ([f"       {location}"] if location else [])
