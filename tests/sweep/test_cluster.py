"""Jobs as tasks of Ray and as jobs of submitit: the same ledger, and the same things may happen to them."""

import json
import os
import platform
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra.errors import ConfigCompositionException

from trainer.config.hydra_errors import mistake_in
from trainer.core.optional_packages import CHECKOUT, install_command
from trainer.sweep.executors.remote_job import Attendant
from trainer.sweep.store.job_store import Ledger

TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
WAIT = "+callbacks.wait._target_=pieces.Wait"
SWEEP = "hydra.sweep.dir=s"
FAKE = Path(__file__).with_name("fake_slurm.py")
LOCAL = ["hydra/launcher=submitit_local", "sweep.workers=2"]


@pytest.fixture(scope="module")
def cluster():
    """The address of a Ray cluster of two nodes, a core each, on this machine."""
    pytest.importorskip("ray", reason="Ray is not installed: make install-dev")
    program = (
        "import sys; from ray.cluster_utils import Cluster\n"
        "cluster = Cluster(initialize_head=True, head_node_args={'num_cpus': 1})\n"
        "cluster.add_node(num_cpus=1); cluster.wait_for_nodes()\n"
        "print(cluster.address, flush=True); sys.stdin.readline(); cluster.shutdown()\n"
    )
    quiet = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", program], text=True, env=quiet, **pipes) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()


@pytest.fixture(params=["ray", "submitit", "slurm"])
def engine(request, tmp_path, monkeypatch):
    """The words that choose an engine."""
    if request.param == "ray":
        return ["hydra/launcher=ray", f"hydra.launcher.address={request.getfixturevalue('cluster')}"]
    if request.param == "submitit":
        return local()
    local()
    folder = tmp_path / "slurm"
    for name, value in {
        **runpy.run_path(str(FAKE))["install"](folder),
        "PATH": f"{folder}:{os.environ['PATH']}",
    }.items():
        monkeypatch.setenv(name, value)
    return ["hydra/launcher=submitit_slurm", "hydra.launcher.array_parallelism=2"]


def local():
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="not installed: make install-dev")
    return LOCAL


def begin(folder, *words):
    """A sweep in a session of its own, as in a terminal."""
    command = [sys.executable, "-m", "trainer", "-m", *TINY, *words, SWEEP]
    with (folder / "said.txt").open("ab") as said:
        return subprocess.Popen(command, cwd=folder, stdout=said, stderr=said, start_new_session=True)


def until(true, seconds=120):
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_jobs_that_fail_and_are_killed_are_begun_again_and_the_numbers_are_those_of_one_process(
    engine, process, jobs, pieces, tmp_path
):
    fails = "+callbacks.wait.fails='',killed,always"
    words = ["-m", *TINY, WAIT, fails, SWEEP, "sweep.retries=1", *engine]
    outcome = process(*words)
    assert outcome.code == 1
    assert [(job.state, job.tries) for job in jobs()] == [("done", 1), ("failed", 2), ("failed", 2)]
    assert "killed by SIGKILL" in outcome.err
    assert "RuntimeError: told to fail: always" in outcome.err
    assert "Traceback" not in outcome.err
    (pieces / "healed").touch()
    assert process("sweep", "resume", "s").code == 0
    assert [(job.state, job.tries) for job in jobs()] == [("done", 1), ("done", 3), ("done", 3)]
    assert process("-m", *TINY, WAIT, fails, "hydra.sweep.dir=alone").code == 0
    alone = Ledger(tmp_path / "alone").jobs()
    assert [job.result["metrics"] for job in jobs()] == [job.result["metrics"] for job in alone]
    assert [job.identity for job in jobs()] == [job.identity for job in alone]


@pytest.mark.slow
def test_the_next_job_begins_when_one_ends_on_other_machines_too(engine, process, jobs, pieces):
    outcome = process("-m", *TINY, WAIT, "+callbacks.wait.seconds=25,0,0.01,0.02", SWEEP, *engine)
    assert outcome.code == 0, outcome.err
    long, *short = jobs()
    assert sum(job.began < long.ended for job in short) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("how", ["polite", "stubborn"])
def test_ctrl_c_lets_jobs_on_other_machines_leave_and_once_more_kills_them(how, engine, jobs, pieces):
    sweep = begin(pieces, WAIT, f"+callbacks.wait.fails={how}", "seed=1,2,3", *engine)
    until(lambda: (pieces / "waiting-1").exists() and (pieces / "waiting-2").exists())
    for _ in range(1 if how == "polite" else 2):
        os.killpg(sweep.pid, signal.SIGINT)
        time.sleep(2)
    assert sweep.wait(60) == 130
    assert [job.state for job in jobs()] == ["interrupted", "interrupted", "planned"]
    if how == "polite":  # they have had the time to write down how they ended
        assert [(pieces / f"s/{number}/result.json").exists() for number in range(2)] == [True, True]
    (pieces / "healed").touch()
    again = subprocess.run([sys.executable, "-m", "trainer", "sweep", "resume", "s"], cwd=pieces, timeout=200)
    assert again.returncode == 0
    assert [(job.state, job.tries) for job in jobs()] == [("done", 2), ("done", 2), ("done", 1)]


@pytest.mark.slow
def test_a_job_of_submitit_outlives_its_sweep_and_tells_the_ledger_itself(jobs, pieces, process):
    sweep = begin(pieces, WAIT, "+callbacks.wait.seconds=8", "seed=1", *local())
    until(lambda: (pieces / "s/0/.hydra").exists())
    os.kill(sweep.pid, signal.SIGKILL)
    sweep.wait()
    again = process("sweep", "resume", "s")
    assert again.code == 0, again.err
    until(lambda: jobs()[0].state != "running", 30)
    assert [(job.state, job.tries) for job in jobs()] == [("done", 1)]


@pytest.mark.slow
def test_a_job_of_ray_ends_with_its_sweep_and_goes_on_with_the_next(cluster, jobs, pieces, process):
    ray = ["hydra/launcher=ray", f"hydra.launcher.address={cluster}"]
    sweep = begin(pieces, WAIT, "+callbacks.wait.fails=polite", "seed=1", *ray)
    until(lambda: (pieces / "waiting-1").exists())
    os.kill(sweep.pid, signal.SIGKILL)
    sweep.wait()
    (pieces / "healed").touch()
    time.sleep(5)
    again = process("sweep", "resume", "s")
    assert again.code == 0, again.err
    assert [(job.state, job.tries) for job in jobs()] == [("done", 2)]


@pytest.mark.slow
def test_a_job_that_slurm_wants_to_end_saves_and_goes_on_later_as_the_same_try(jobs, pieces, process):
    local()
    long = ["data=xor", "logger=none", "callbacks.checkpoint.save_last=true", "trainer.max_epochs=30"]
    slow = [*long, "+callbacks.slow._target_=pieces.Slow", "test=false"]
    command = [sys.executable, "-m", "trainer", "-m", *slow, "seed=1", SWEEP, *LOCAL]
    sweep = subprocess.Popen(command, cwd=pieces)
    until(lambda: (pieces / "s/0/checkpoints/last.ckpt").exists())
    os.kill(jobs()[0].pid, signal.SIGUSR2)  # the attendant: as Slurm does before a time limit or a preemption
    assert sweep.wait(120) == 0
    [job] = jobs()
    assert (job.state, job.tries) == ("done", 1)
    assert (pieces / "s/output/0.log").read_text().count("model  ") == 2  # it was begun twice
    assert process(*slow, "seed=1", "hydra.run.dir=whole").code == 0
    whole = json.loads((pieces / "whole/result.json").read_text())
    assert job.result["metrics"] == whole["metrics"]


def test_a_job_that_was_begun_anew_by_another_sweep_is_left_alone(tmp_path, jobs):
    (tmp_path / "s").mkdir()
    ledger = Ledger.opened(tmp_path / "s")
    ledger.enrol(["seed=1"], {"aaaa": ["seed=1"]})
    [job] = ledger.jobs()
    assert ledger.start(job)
    late = Attendant.of(ledger, job, ["no=such"])
    ledger.end(0, "interrupted")
    assert ledger.start(ledger.job(0))  # its second try
    before = signal.getsignal(signal.SIGINT)
    assert late() == 0
    signal.signal(signal.SIGINT, before)
    [job] = jobs()
    assert (job.state, job.tries, job.pid, job.host) == ("running", 2, os.getpid(), platform.node())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["hydra/launcher=ray"], f"hydra/launcher=ray needs Ray: cd '{CHECKOUT}' && pip install -e '.[ray]'"),
        (["hydra/launcher=ray", "sweep.jobs_per_gpu=2"], "hydra.launcher.num_gpus=0.5 has two share one"),
    ],
    ids=["not-installed", "gpus"],
)
def test_what_ray_cannot_do_is_told(words, told, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    outcome = command("-m", *TINY, "seed=1", SWEEP, *words)
    assert outcome.code == 1
    assert told in outcome.err
    assert "Traceback" not in outcome.err


def test_no_cluster_at_the_address_is_told_at_once(command):
    pytest.importorskip("ray", reason="Ray is not installed: make install-dev")
    outcome = command("-m", *TINY, "seed=1", SWEEP, "hydra/launcher=ray", "hydra.launcher.address=127.0.0.1:1")
    assert outcome.code == 1
    assert "hydra.launcher.address=127.0.0.1:1: no Ray cluster that lets us in:" in outcome.err
    assert "begin one there: ray start --head; or take this machine: hydra.launcher.address=local" in outcome.err


def test_where_there_is_no_slurm_that_is_told(command, monkeypatch):
    local()
    monkeypatch.setenv("PATH", "/nowhere")
    outcome = command("-m", *TINY, "seed=1", SWEEP, "hydra/launcher=submitit_slurm")
    assert outcome.code == 1
    assert 'hydra/launcher=submitit_slurm: Could not detect "srun"' in outcome.err
    assert "on this machine alone: sweep.workers=2, or hydra/launcher=submitit_local" in outcome.err


def test_a_launcher_that_is_not_installed_is_named_with_the_extra_that_brings_it():
    missing = ConfigCompositionException("Could not find 'hydra/launcher/submitit_slurm'")
    told = mistake_in(missing, "hydra/launcher=submitit_slurm", lambda group: ["basic", "ray"])
    assert f"it comes with: {install_command('slurm')}" in str(told)
