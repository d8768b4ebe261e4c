"""Jobs in separate processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from trainer.cli.messages import validate_overrides
from trainer.core.errors import UserError
from trainer.sweeps.executors import forkserver
from trainer.sweeps.executors.base import build_worker_environments
from trainer.sweeps.store.job_store import Ledger

TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
WAIT = "+callbacks.wait._target_=pieces.Wait"
SWEEP = ["hydra.sweep.dir=s", "sweep.workers=2"]


@pytest.mark.slow
def test_jobs_start_without_waiting_for_a_batch(command, jobs, pieces):
    lengths = "+callbacks.wait.seconds=6,1,1.01,1.02,1.03,1.04,1.05"
    outcome = command("-m", *TINY, WAIT, lengths, *SWEEP)
    assert outcome.code == 0, outcome.err
    slow_job, *fast_jobs = jobs()
    assert [job.state for job in jobs()] == ["done"] * 7
    assert all(job.started < fast_jobs[number + 1].started for number, job in enumerate(fast_jobs[:-1]))
    # with batches only one of the fast jobs would run at the same time as the slow one
    assert sum(job.started < slow_job.ended for job in fast_jobs) >= 3
    at_once = [sum(other.started <= job.started < other.ended for other in jobs()) for job in jobs()]
    assert max(at_once) == 2


def test_crashed_and_failed_jobs_are_retried_and_do_not_affect_others(command, jobs, pieces):
    fails = "+callbacks.wait.fails='',segfault,always"
    outcome = command("-m", *TINY, WAIT, fails, *SWEEP, "sweep.retries=1")
    assert outcome.code == 1
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1), ("failed", 2), ("failed", 2)]
    assert "killed by SIGSEGV" in outcome.err
    assert "RuntimeError: requested failure: always" in outcome.err
    assert "Traceback" not in outcome.err
    (pieces / "healed").touch()
    assert command("sweep", "resume", "s").code == 0
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1), ("done", 3), ("done", 3)]


@pytest.mark.slow
def test_with_fail_fast_no_job_starts_after_a_failure(command, jobs, pieces):
    args = ["-m", *TINY, WAIT, "+callbacks.wait.fails=always", "seed=1,2,3", "sweep.fail_fast=true"]
    assert command(*args, "hydra.sweep.dir=s", "sweep.workers=1").code == 1
    assert [job.state for job in jobs()] == ["failed", "planned", "planned"]
    assert command(*args, "hydra.sweep.dir=in_process").code == 1


@pytest.mark.slow
def test_the_results_are_those_of_jobs_in_one_process(command, jobs):
    args = ["-m", "data=xor", "trainer.max_epochs=1", "seed=1,2"]
    assert command(*args, *SWEEP, "sweep.fuse=false").code == 0  # networks trained together are rounded differently
    assert command(*args, "hydra.sweep.dir=alone").code == 0
    reference = Ledger(Path("alone")).jobs()
    assert [job.result["metrics"] for job in jobs()] == [job.result["metrics"] for job in reference]
    assert [job.identity for job in jobs()] == [job.identity for job in reference]


@pytest.mark.slow
@pytest.mark.parametrize("reaction", [pytest.param("polite", marks=pytest.mark.slow), "stubborn"])
def test_ctrl_c_stops_jobs_and_a_second_one_kills_them(reaction, command, jobs, pieces):
    def press():
        for _ in range(1 if reaction == "polite" else 2):
            while not (pieces / "waiting-1").exists() or not (pieces / "waiting-2").exists():
                time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1.5)

    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a late one does not stop the tests
    threading.Thread(target=press, daemon=True).start()
    start = time.monotonic()
    outcome = command("-m", *TINY, WAIT, f"+callbacks.wait.fails={reaction}", "seed=1,2,3", *SWEEP)
    signal.signal(signal.SIGINT, handler)
    assert outcome.code == 130
    assert time.monotonic() - start < 90
    assert [job.state for job in jobs()] == ["interrupted", "interrupted", "planned"]
    assert "2 running job(s) save and exit; press Ctrl-C again to kill them" in outcome.out


@pytest.mark.parametrize(
    ("workers", "jobs_per_gpu", "gpus", "expected"),
    [
        (3, None, [], [None] * 3),
        (None, 2, ["0", "1"], ["0", "1", "0", "1"]),
        (3, 2, ["4", "7"], ["4", "7", "4"]),
        (None, 1, ["GPU-a"], ["GPU-a"]),
        (2, 1, [], [None] * 2),
    ],
)
def test_gpus_are_assigned_in_turn(workers, jobs_per_gpu, gpus, expected):
    assert [
        environment.get("CUDA_VISIBLE_DEVICES")
        for environment in build_worker_environments(workers, jobs_per_gpu, gpus)
    ] == expected


def test_a_job_uses_the_number_of_threads_of_its_environment(command, jobs, pieces, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # not those of the forkserver
    assert command("-m", *TINY, WAIT, "hydra.sweep.dir=s", "sweep.workers=1").code == 0
    assert "3 threads" in (pieces / "s/output/0.log").read_text()


def test_the_dry_run_of_the_sweep_is_not_repeated_in_its_jobs(command, pieces):
    assert command("-m", *TINY, WAIT, "seed=1,2", *SWEEP).code == 0
    for number in (0, 1):
        assert (pieces / f"s/output/{number}.log").read_text().count("a callback is built") == 1


@pytest.mark.parametrize(
    ("args", "count"),
    [
        (["-m", "data=xor", "seed=1,2", "sweep.workers=2"], 1),
        (["-m", "data=xor", "seed=1,2"], 0),
        (["-m", "data=xor", "seed=1,2", "sweep.workers=2", "hydra/launcher=ray"], 0),
        (["data=xor", "sweep.workers=2"], 0),
        (["-m", "data=xo", "seed=1,2", "sweep.workers=2"], 0),
        (["-m", "~sweep", "seed=1,2"], 0),
    ],
)
def test_the_forkserver_starts_before_the_jobs_are_checked(args, count, monkeypatch):
    expected: list[list[str]] = []
    monkeypatch.setattr(forkserver, "start_forkserver", lambda modules: expected.append([*modules]))
    with suppress(UserError):
        validate_overrides(args)
    assert len(expected) == count
    assert all({"trainer.data.xor", "trainer.model.mlp"} <= {*modules} for modules in expected)


FORKED = """
from multiprocessing import get_context
from trainer.sweeps.executors.forkserver import START_METHOD, start_forkserver
def are_imported():
    import sys
    return [name in sys.modules for name in ("torch", "trainer.training.run", "trainer.data.xor", "trainer.data.mnist")]
if __name__ == "__main__":
    start_forkserver(["trainer.data.xor"])
    with get_context(START_METHOD).Pool(1) as pool:
        print(pool.apply(are_imported))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux uses a forkserver")
def test_the_forkserver_has_imported_the_modules_of_a_job_and_none_of_the_working_directory(tmp_path):
    script = tmp_path / "bin/forked.py"
    script.parent.mkdir()
    script.write_text(FORKED)
    for name in ("random", "tempfile", "dill"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError")
    outcome = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert outcome.stdout == "[True, True, True, False]\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux uses a forkserver")
@pytest.mark.parametrize("seconds", [0.0, 0.7])
def test_ctrl_c_during_the_check_ends_the_command_and_the_forkserver(seconds, tmp_path, as_in_a_terminal):
    args = [sys.executable, "-m", "trainer", "-m", "data=xor", "seed=1,2", "sweep.workers=2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    count = subprocess.Popen(args, cwd=tmp_path, text=True, start_new_session=True, **pipes)
    children = Path(f"/proc/{count.pid}/task/{count.pid}/children")
    while len(children.read_text().split()) < 2:  # the forkserver and the resource tracker
        assert count.poll() is None
        time.sleep(0.01)
    time.sleep(seconds)
    os.killpg(count.pid, signal.SIGINT)
    output, _ = count.communicate(timeout=60)  # until no process can write
    assert (count.returncode, output) == (130, "")


def test_cores_are_shared_between_workers(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {*range(8)})
    assert [environment["OMP_NUM_THREADS"] for environment in build_worker_environments(3, None, [])] == ["2"] * 3
    assert [environment["OMP_NUM_THREADS"] for environment in build_worker_environments(20, None, [])] == ["1"] * 20


def test_a_job_that_was_killed_after_its_directory_was_created_is_run(command, jobs, tmp_path):
    (tmp_path / "s/0/.hydra").mkdir(parents=True)
    Ledger.open_or_create(tmp_path / "s")
    outcome = command("-m", *TINY, "seed=1", *SWEEP)
    assert outcome.code == 0, outcome.err
    assert jobs()[0].state == "done"
