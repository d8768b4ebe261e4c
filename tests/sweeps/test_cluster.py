"""Jobs of a sweep as tasks of Ray and as jobs of submitit."""

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

from trainer.config.hydra_errors import diagnose_hydra_error
from trainer.core.installation import CHECKOUT_ROOT, format_install_command
from trainer.sweeps.executors.remote_job import RemoteJob
from trainer.sweeps.store.job_store import Ledger

TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
WAIT = "+callbacks.wait._target_=pieces.Wait"
SWEEP = "hydra.sweep.dir=s"
FAKE = Path(__file__).with_name("fake_slurm.py")
LOCAL = ["hydra/launcher=submitit_local", "sweep.workers=2"]


@pytest.fixture(params=["ray", "submitit", "slurm"])
def launcher(request, tmp_path, monkeypatch):
    """Return the overrides that select an executor."""
    if request.param == "ray":
        return ["hydra/launcher=ray", f"hydra.launcher.address={request.getfixturevalue('ray_cluster')}"]
    if request.param == "submitit":
        return require_submitit()
    require_submitit()
    directory = tmp_path / "slurm"
    for name, value in {
        **runpy.run_path(str(FAKE))["install"](directory),
        "PATH": f"{directory}:{os.environ['PATH']}",
    }.items():
        monkeypatch.setenv(name, value)
    return ["hydra/launcher=submitit_slurm", "hydra.launcher.array_parallelism=2"]


def require_submitit():
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="not installed: make install-dev")
    return LOCAL


@pytest.mark.slow
def test_failed_and_killed_jobs_are_retried_with_the_results_of_a_single_process(
    launcher, process, jobs, pieces, tmp_path
):
    fails = "+callbacks.wait.fails='',killed,always"
    args = ["-m", *TINY, WAIT, fails, SWEEP, "sweep.retries=1", *launcher]
    outcome = process(*args)
    assert outcome.code == 1
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1), ("failed", 2), ("failed", 2)]
    assert "killed by SIGKILL" in outcome.err
    assert "RuntimeError: requested failure: always" in outcome.err
    assert "Traceback" not in outcome.err
    (pieces / "healed").touch()
    assert process("sweep", "resume", "s").code == 0
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1), ("done", 3), ("done", 3)]
    assert process("-m", *TINY, WAIT, fails, "hydra.sweep.dir=alone").code == 0
    reference = Ledger(tmp_path / "alone").jobs()
    assert [job.result["metrics"] for job in jobs()] == [job.result["metrics"] for job in reference]
    assert [job.identity for job in jobs()] == [job.identity for job in reference]


@pytest.mark.slow
def test_remote_jobs_start_without_waiting_for_a_batch(launcher, process, jobs, pieces):
    outcome = process("-m", *TINY, WAIT, "+callbacks.wait.seconds=25,0,0.01,0.02", SWEEP, *launcher)
    assert outcome.code == 0, outcome.err
    slow_job, *fast_jobs = jobs()
    assert sum(job.started < slow_job.ended for job in fast_jobs) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["slurm"], indirect=True)
def test_jobs_above_the_submission_limit_of_slurm_are_submitted_later(launcher, process, jobs, pieces, monkeypatch):
    monkeypatch.setenv("FAKE_MAX_SUBMIT_JOBS", "2")
    sweep = [*TINY, WAIT, "+callbacks.wait.seconds=3", "seed=range(5)", SWEEP, "sweep.workers=4"]
    outcome = process("-m", *sweep, *launcher)
    assert outcome.code == 0, outcome.err
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1)] * 5
    assert outcome.out.count("no job is accepted at the moment, retrying: AssocMaxSubmitJobLimit") == 1
    assert "sbatch: error" not in outcome.err


@pytest.mark.slow
@pytest.mark.parametrize("reaction", ["polite", "stubborn"])
def test_ctrl_c_stops_remote_jobs_and_a_second_one_kills_them(
    reaction, launcher, jobs, pieces, start_sweep, wait_until
):
    sweep = start_sweep(*TINY, WAIT, f"+callbacks.wait.fails={reaction}", "seed=1,2,3", *launcher)
    wait_until(lambda: (pieces / "waiting-1").exists() and (pieces / "waiting-2").exists())
    for _ in range(1 if reaction == "polite" else 2):
        os.killpg(sweep.pid, signal.SIGINT)
        time.sleep(2)
    assert sweep.wait(60) == 130
    assert [job.state for job in jobs()] == ["interrupted", "interrupted", "planned"]
    if reaction == "polite":  # they had time to write their result
        assert [(pieces / f"s/{number}/result.json").exists() for number in range(2)] == [True, True]
    (pieces / "healed").touch()
    resumed = subprocess.run([sys.executable, "-m", "trainer", "sweep", "resume", "s"], cwd=pieces, timeout=200)
    assert resumed.returncode == 0
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 2), ("done", 2), ("done", 1)]


@pytest.mark.slow
def test_a_submitit_job_outlives_its_sweep_and_updates_the_ledger(jobs, pieces, process, start_sweep, wait_until):
    sweep = start_sweep(*TINY, WAIT, "+callbacks.wait.seconds=8", "seed=1", *require_submitit())
    wait_until(lambda: (pieces / "s/0/.hydra").exists())
    os.kill(sweep.pid, signal.SIGKILL)
    sweep.wait()
    resumed = process("sweep", "resume", "s")
    assert resumed.code == 0, resumed.err
    wait_until(lambda: jobs()[0].state != "running", 30)
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 1)]


@pytest.mark.slow
def test_a_preempted_slurm_job_is_resumed_as_the_same_attempt(jobs, pieces, process, wait_until):
    require_submitit()
    slow_job = ["data=xor", "logger=none", "callbacks.checkpoint.save_last=true", "trainer.max_epochs=30"]
    slow = [*slow_job, "+callbacks.slow._target_=pieces.Slow", "test=false"]
    command = [sys.executable, "-m", "trainer", "-m", *slow, "seed=1", SWEEP, *LOCAL]
    sweep = subprocess.Popen(command, cwd=pieces)
    wait_until(lambda: (pieces / "s/0/checkpoints/last.ckpt").exists())
    os.kill(jobs()[0].pid, signal.SIGUSR2)  # sent to `RemoteJob`, as by Slurm before a time limit or a preemption
    assert sweep.wait(120) == 0
    [job] = jobs()
    assert (job.state, job.attempts) == ("done", 1)
    assert (pieces / "s/output/0.log").read_text().count("model  ") == 2  # started twice
    assert process(*slow, "seed=1", "hydra.run.dir=whole").code == 0
    uninterrupted = json.loads((pieces / "whole/result.json").read_text())
    assert job.result["metrics"] == uninterrupted["metrics"]


def test_a_job_whose_next_attempt_was_started_elsewhere_does_not_run(tmp_path, jobs):
    (tmp_path / "s").mkdir()
    ledger = Ledger.open_or_create(tmp_path / "s")
    ledger.add_jobs(["seed=1"], {"aaaa": ["seed=1"]})
    [job] = ledger.jobs()
    assert ledger.claim(job)
    stale = RemoteJob.create(ledger, job, ["no=such"])
    ledger.finish(0, "interrupted")
    assert ledger.claim(ledger.job(0))  # its second attempt
    handler = signal.getsignal(signal.SIGINT)
    assert stale() == 0
    signal.signal(signal.SIGINT, handler)
    [job] = jobs()
    assert (job.state, job.attempts, job.pid, job.host) == ("running", 2, os.getpid(), platform.node())


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["hydra/launcher=ray"], f"pip install -e '{CHECKOUT_ROOT}[ray]'"),
        (
            ["hydra/launcher=ray", "sweep.jobs_per_gpu=2"],
            "to share a GPU between two jobs: hydra.launcher.num_gpus=0.5",
        ),
    ],
    ids=["not-installed", "gpus"],
)
def test_unsupported_settings_of_ray_are_errors(args, message, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr("trainer.core.installation._read_installer", lambda: "pip")
    outcome = command("-m", *TINY, "seed=1", SWEEP, *args)
    assert outcome.code == 1
    assert message in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sweep.workers=2", "sweep.workers: 2 has no effect on hydra.launcher (JoblibLauncher)"),
        ("sweep.fuse=true", "sweep.fuse: true has no effect on hydra.launcher (JoblibLauncher)"),
    ],
)
def test_other_launchers_do_not_ignore_settings_of_parallel_jobs(setting, message, command):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="not installed: make install-dev")
    outcome = command("-m", *TINY, "seed=1,2", SWEEP, "hydra/launcher=joblib", setting)
    assert outcome.code == 1
    assert message in outcome.err
    assert "to run the jobs without that launcher: hydra/launcher=basic" in outcome.err
    assert not Path("s/0").exists()


def test_an_unreachable_cluster_is_an_error_without_delay(command):
    pytest.importorskip("ray", reason="Ray is not installed: make install-dev")
    outcome = command("-m", *TINY, "seed=1", SWEEP, "hydra/launcher=ray", "hydra.launcher.address=127.0.0.1:1")
    assert outcome.code == 1
    assert "hydra.launcher.address=127.0.0.1:1: cannot connect to a Ray cluster:" in outcome.err
    assert "start one there: ray start --head; or use this machine: hydra.launcher.address=local" in outcome.err


def test_missing_slurm_is_an_error(command, monkeypatch):
    require_submitit()
    monkeypatch.setenv("PATH", "/nowhere")
    outcome = command("-m", *TINY, "seed=1", SWEEP, "hydra/launcher=submitit_slurm")
    assert outcome.code == 1
    assert 'hydra/launcher=submitit_slurm: Could not detect "srun"' in outcome.err
    assert "to use only this machine: sweep.workers=2, or hydra/launcher=submitit_local" in outcome.err


def test_a_time_limit_that_is_too_short_for_the_signal_is_an_error(command):
    require_submitit()
    outcome = command("-m", *TINY, "seed=1", SWEEP, "hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=2")
    assert outcome.code == 1
    assert (
        "hydra.launcher.signal_delay_s=120: jobs would be asked to save and exit at their start, as their time limit is"
        " 120 s; expected less, or a larger hydra.launcher.timeout_min=2" in outcome.err
    )


def test_a_launcher_that_is_not_installed_is_named_with_its_extra():
    missing = ConfigCompositionException("Could not find 'hydra/launcher/submitit_slurm'")
    message = diagnose_hydra_error(missing, "hydra/launcher=submitit_slurm", lambda group: ["basic", "ray"])
    assert f"install it: {format_install_command('slurm')}" in str(message)
