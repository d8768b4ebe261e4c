"""Jobs in processes of their own: no barrier, no job harmed by another, Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from trainer.cli.messages import refuse_wrong
from trainer.core.errors import UserError
from trainer.sweep.executors import forkserver
from trainer.sweep.executors.base import seats
from trainer.sweep.store.job_store import Ledger

TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
WAIT = "+callbacks.wait._target_=pieces.Wait"
SWEEP = ["hydra.sweep.dir=s", "sweep.workers=2"]


def test_the_next_job_begins_when_one_ends_not_when_all_have(command, jobs, pieces):
    lengths = "+callbacks.wait.seconds=6,1,1.01,1.02,1.03,1.04,1.05"
    outcome = command("-m", *TINY, WAIT, lengths, *SWEEP)
    assert outcome.code == 0, outcome.err
    long, *short = jobs()
    assert [job.state for job in jobs()] == ["done"] * 7
    assert all(job.began < short[number + 1].began for number, job in enumerate(short[:-1]))
    # while the long one ran, several short ones followed one another: with a barrier it would have been one
    assert sum(job.began < long.ended for job in short) >= 3
    at_once = [sum(other.began <= job.began < other.ended for other in jobs()) for job in jobs()]
    assert max(at_once) == 2


def test_jobs_that_crash_or_fail_harm_no_other_and_are_begun_again_as_asked(command, jobs, pieces):
    fails = "+callbacks.wait.fails='',segfault,always"
    outcome = command("-m", *TINY, WAIT, fails, *SWEEP, "sweep.retries=1")
    assert outcome.code == 1
    assert [(job.state, job.tries) for job in jobs()] == [("done", 1), ("failed", 2), ("failed", 2)]
    assert "killed by SIGSEGV" in outcome.err
    assert "RuntimeError: told to fail: always" in outcome.err
    assert "Traceback" not in outcome.err
    (pieces / "healed").touch()
    assert command("sweep", "resume", "s").code == 0
    assert [(job.state, job.tries) for job in jobs()] == [("done", 1), ("done", 3), ("done", 3)]


def test_with_fail_fast_no_job_begins_after_one_has_failed(command, jobs, pieces):
    words = ["-m", *TINY, WAIT, "+callbacks.wait.fails=always", "seed=1,2,3", "sweep.fail_fast=true"]
    assert command(*words, "hydra.sweep.dir=s", "sweep.workers=1").code == 1
    assert [job.state for job in jobs()] == ["failed", "planned", "planned"]
    assert command(*words, "hydra.sweep.dir=in_process").code == 1


def test_the_numbers_are_those_of_jobs_in_one_process(command, jobs):
    words = ["-m", "data=xor", "trainer.max_epochs=1", "seed=1,2"]
    assert command(*words, *SWEEP).code == 0
    assert command(*words, "hydra.sweep.dir=alone").code == 0
    alone = Ledger(Path("alone")).jobs()
    assert [job.result["metrics"] for job in jobs()] == [job.result["metrics"] for job in alone]
    assert [job.identity for job in jobs()] == [job.identity for job in alone]


@pytest.mark.parametrize("how", ["polite", "stubborn"])
def test_ctrl_c_lets_jobs_leave_and_once_more_kills_them(how, command, jobs, pieces):
    def press():
        for _ in range(1 if how == "polite" else 2):
            while not (pieces / "waiting-1").exists() or not (pieces / "waiting-2").exists():
                time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1.5)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # one that comes too late does not end the tests
    threading.Thread(target=press, daemon=True).start()
    began = time.monotonic()
    outcome = command("-m", *TINY, WAIT, f"+callbacks.wait.fails={how}", "seed=1,2,3", *SWEEP)
    signal.signal(signal.SIGINT, before)
    assert outcome.code == 130
    assert time.monotonic() - began < 90
    assert [job.state for job in jobs()] == ["interrupted", "interrupted", "planned"]
    assert "2 running job(s) save and leave (once more to kill them)" in outcome.out


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
def test_gpus_are_shared_out_one_after_another(workers, jobs_per_gpu, gpus, expected):
    assert [seat.get("CUDA_VISIBLE_DEVICES") for seat in seats(workers, jobs_per_gpu, gpus)] == expected


def test_a_job_uses_the_threads_of_its_seat(command, jobs, pieces, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # others than those that the processes it is forked from began with
    assert command("-m", *TINY, WAIT, "hydra.sweep.dir=s", "sweep.workers=1").code == 0
    assert "3 threads" in (pieces / "s/output/0.log").read_text()


def test_a_job_that_the_sweep_has_rehearsed_is_not_rehearsed_again(command, pieces):
    assert command("-m", *TINY, WAIT, "seed=1,2", *SWEEP).code == 0
    for number in (0, 1):
        assert (pieces / f"s/output/{number}.log").read_text().count("a callback is built") == 1


@pytest.mark.parametrize(
    ("words", "begun"),
    [
        (["-m", "data=xor", "seed=1,2", "sweep.workers=2"], 1),
        (["-m", "data=xor", "seed=1,2"], 0),
        (["-m", "data=xor", "seed=1,2", "sweep.workers=2", "hydra/launcher=ray"], 0),
        (["data=xor", "sweep.workers=2"], 0),
        (["-m", "data=xo", "seed=1,2", "sweep.workers=2"], 0),
        (["-m", "~sweep", "seed=1,2"], 0),
    ],
)
def test_what_jobs_are_forked_from_begins_before_they_are_checked(words, begun, monkeypatch):
    expected: list[list[str]] = []
    monkeypatch.setattr(forkserver, "open_nursery", lambda modules: expected.append([*modules]))
    with suppress(UserError):
        refuse_wrong(words)
    assert len(expected) == begun
    assert all({"trainer.data.xor", "trainer.model.mlp"} <= {*modules} for modules in expected)


FORKED = """
from multiprocessing import get_context
from trainer.sweep.executors.forkserver import METHOD, open_nursery
def known():
    import sys
    return [name in sys.modules for name in ("torch", "trainer.training.run", "trainer.data.xor", "trainer.data.mnist")]
if __name__ == "__main__":
    open_nursery(["trainer.data.xor"])
    with get_context(METHOD).Pool(1) as pool:
        print(pool.apply(known))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are begun anew")
def test_what_jobs_are_forked_from_has_imported_what_they_need(tmp_path):
    (tmp_path / "forked.py").write_text(FORKED)
    outcome = subprocess.run([sys.executable, "forked.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert outcome.stdout == "[True, True, True, False]\n"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are begun anew")
@pytest.mark.parametrize("seconds", [0.0, 0.7])
def test_ctrl_c_while_jobs_are_checked_ends_the_command_and_what_was_begun(seconds, tmp_path, as_in_a_terminal):
    words = [sys.executable, "-m", "trainer", "-m", "data=xor", "seed=1,2", "sweep.workers=2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    begun = subprocess.Popen(words, cwd=tmp_path, text=True, start_new_session=True, **pipes)
    children = Path(f"/proc/{begun.pid}/task/{begun.pid}/children")
    while len(children.read_text().split()) < 2:  # what jobs are forked from, and multiprocessing's own
        assert begun.poll() is None
        time.sleep(0.01)
    time.sleep(seconds)
    os.killpg(begun.pid, signal.SIGINT)
    said, _ = begun.communicate(timeout=60)  # all have left who might write
    assert (begun.returncode, said) == (130, "")


def test_cores_are_shared_out(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {*range(8)})
    assert [seat["OMP_NUM_THREADS"] for seat in seats(3, None, [])] == ["2"] * 3
    assert [seat["OMP_NUM_THREADS"] for seat in seats(20, None, [])] == ["1"] * 20
