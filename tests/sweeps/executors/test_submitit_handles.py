"""Ends of Slurm jobs, by the state that Slurm reports and the error that submitit has written."""

import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from trainer.core.errors import UserError
from trainer.sweeps.executors import submitit_handles
from trainer.sweeps.executors.base import JobExit
from trainer.sweeps.executors.submitit import SubmititExecutor
from trainer.sweeps.executors.submitit_handles import SlurmHandle
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.slurm_queue import SlurmJob

SETTINGS = {"timeout_min": 60, "max_num_timeout": 2}


@dataclass
class SubmititJob:
    """The parts of a job of submitit that a handle reads."""

    folder: Path
    job_id = "16"

    @property
    def paths(self):
        return self

    @property
    def result_pickle(self):
        return self.folder / "result.pkl"


def make_handle(directory, state, nodes="node2"):
    handle = SlurmHandle(SubmititJob(directory), None, 3, 1, SETTINGS)
    handle.refresh(Job(3, "aaaa", [], "running", 1), SlurmJob("16", state, nodes))
    return handle


@pytest.mark.parametrize(
    ("state", "error", "expected"),
    [
        ("CANCELLED", "", JobExit(1, "Slurm job 16 was cancelled", "stopped")),
        (
            "TIMEOUT",
            "",
            JobExit(
                1,
                "Slurm job 16 reached its time limit: hydra.launcher.timeout_min=60, restarted at most"
                " hydra.launcher.max_num_timeout=2 times",
                "stopped",
            ),
        ),
        ("NODE_FAIL", "", JobExit(1, "Slurm job 16 was lost on node2 (NODE_FAIL)", "lost", "node2")),
        ("PREEMPTED", "", JobExit(1, "Slurm job 16 was lost on node2 (PREEMPTED)", "lost", "")),
        (
            "FAILED",
            "subprocess.CalledProcessError: Command '['scontrol', 'requeue', '16']' returned exit status 1.",
            JobExit(
                1,
                "Slurm job 16 has saved, but Slurm did not restart it: Command '['scontrol', 'requeue', '16']'"
                " returned exit status 1.",
                "stopped",
            ),
        ),
        (
            "FAILED",
            "trainer.core.errors.UserError: '/s' does not exist on node2",
            JobExit(
                1,
                "Slurm job 16 ended on node2 (FAILED: '/s' does not exist on node2); output in DIRECTORY",
                machine="node2",
            ),
        ),
    ],
    ids=["cancelled", "time-limit", "node-failed", "preempted", "not-requeued", "no-directory"],
)
def test_the_end_of_a_slurm_job_is_explained(state, error, expected, tmp_path):
    if error:
        (tmp_path / "result.pkl").write_bytes(pickle.dumps(("error", f"Traceback:\n  line\n{error}\n")))
    end = make_handle(tmp_path, state).exit()
    assert end == replace(expected, reason=expected.reason.replace("DIRECTORY", str(tmp_path)))


@pytest.mark.parametrize(
    ("state", "row", "is_done"),
    [
        ("RUNNING", ("running", 1), False),
        ("COMPLETING", ("running", 1), False),
        ("UNREACHABLE", ("running", 1), False),
        ("RUNNING", ("done", 1), True),
        ("RUNNING", ("running", 2), True),
        ("CANCELLED", ("running", 1), True),
    ],
)
def test_a_slurm_job_is_done_if_the_ledger_or_slurm_says_so(state, row, is_done, tmp_path):
    handle = make_handle(tmp_path, "PENDING")
    handle.refresh(Job(3, "aaaa", [], *row), SlurmJob("16", state))
    assert handle.done() is is_done


def test_a_stop_that_does_not_reach_the_controller_is_repeated(tmp_path, monkeypatch):
    commands = []
    outputs = ["scancel: error: Unable to contact slurm controller (connect failure)"] * 2

    def run_command(command):
        commands.append(" ".join(command))
        return 1, outputs.pop() if outputs else ""

    monkeypatch.setattr(submitit_handles, "run_command", run_command)
    handle = make_handle(tmp_path, "RUNNING")
    handle.stop()
    stop = ["scancel --state=PENDING 16", "scancel --signal=INT 16"]
    assert commands == stop
    running = Job(3, "aaaa", [], "running", 1)
    handle.refresh(running, SlurmJob("16", "UNREACHABLE"))
    assert commands == stop
    for _ in range(2):
        handle.refresh(running, SlurmJob("16", "RUNNING"))
        assert commands == stop * 2


def test_a_machine_without_a_cluster_is_not_called_a_rejection():
    executor = SubmititExecutor.__new__(SubmititExecutor)
    executor._excluded = executor._always_excluded = []
    executor._n_submitted = 0
    message = "sbatch: error: resolve_ctls_from_dns_srv: res_nsearch error: Unknown host"
    with pytest.raises(UserError, match="no Slurm found; start the sweep on a login node: resolve_ctls"):
        executor._raise_refusal(Job(0, "aaaa", []), message)
    with pytest.raises(UserError, match="job 0: rejected by Slurm: invalid partition"):
        executor._raise_refusal(Job(0, "aaaa", []), "sbatch: error: invalid partition specified: missing")
