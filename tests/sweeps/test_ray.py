"""Lost workers, machines and missing resources of a Ray cluster."""

import os
import signal
import subprocess
import sys
import time

import pytest

from trainer.sweeps.executors.ray import find_unmet_need

TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
WAIT = "+callbacks.wait._target_=pieces.Wait"
SWEEP = "hydra.sweep.dir=s"


@pytest.mark.slow
def test_a_ray_job_ends_with_its_sweep_and_is_resumed_by_the_next_one(
    ray_cluster, jobs, pieces, process, start_sweep, wait_until
):
    ray = ["hydra/launcher=ray", f"hydra.launcher.address={ray_cluster}"]
    sweep = start_sweep(*TINY, WAIT, "+callbacks.wait.fails=polite", "seed=1", *ray)
    wait_until(lambda: (pieces / "waiting-1").exists())
    os.kill(sweep.pid, signal.SIGKILL)
    sweep.wait()
    (pieces / "healed").touch()
    time.sleep(5)
    resumed = process("sweep", "resume", "s")
    assert resumed.code == 0, resumed.err
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 2)]


@pytest.mark.slow
def test_a_ray_job_whose_worker_was_killed_starts_again_without_retries(
    ray_cluster, jobs, pieces, start_sweep, wait_until
):
    ray = ["hydra/launcher=ray", f"hydra.launcher.address={ray_cluster}"]
    sweep = start_sweep(*TINY, WAIT, "+callbacks.wait.fails=polite", "seed=1", *ray)
    wait_until(lambda: (pieces / "waiting-1").exists())
    (pieces / "healed").touch()
    os.kill(jobs()[0].pid, signal.SIGKILL)  # the worker of Ray
    assert sweep.wait(100) == 0
    assert [(job.state, job.attempts) for job in jobs()] == [("done", 2)]
    assert "#0 is put back into the queue: WorkerCrashedError" in (pieces / "output.txt").read_text()


@pytest.mark.slow
def test_a_ray_machine_that_cannot_run_jobs_is_avoided(ray_cluster, tmp_path):
    program = (
        "import sys; from pathlib import Path; from trainer.core.errors import UserError\n"
        "from trainer.sweeps.executors.ray import RayExecutor, RemoteJob\n"
        "from trainer.sweeps.store.job_store import Ledger\n"
        "executor = RayExecutor(Ledger.open_or_create(Path(sys.argv[2])), None, sys.argv[1], 1, 0, {}, {})\n"
        "def fail():\n    raise UserError('no such directory')\n"
        "RemoteJob.create = lambda *args: fail\n"
        "end = executor.submit(None, []).exit()\n"
        "assert (end.code, end.reason) == (1, 'no such directory'), end\n"
        "executor.avoid(end.machine)\n"
        "others = {executor.submit(None, []).exit().machine for _ in range(4)}\n"
        "assert len(others) == 1 and end.machine not in others, (end, others)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, ray_cluster, str(tmp_path)], capture_output=True, text=True, timeout=100
    )
    assert result.returncode == 0, result.stderr


def test_resources_that_no_ray_machine_has_are_named():
    nodes = [{"CPU": 4.0}, {"CPU": 2.0, "GPU": 1.0, "fpga": 1.0}]
    assert find_unmet_need(nodes, {"CPU": 2, "GPU": 0.5}) is None
    assert find_unmet_need(nodes, {"CPU": 8, "GPU": 0}) == (
        "hydra.launcher.num_cpus=8: no machine of the Ray cluster has this: the largest one has 4 CPU"
    )
    assert find_unmet_need(nodes, {"CPU": 4, "GPU": 1}) == (
        "hydra.launcher.num_cpus=4, hydra.launcher.num_gpus=1: no machine of the Ray cluster has this:"
        " one has the first, another one the other"
    )
    assert find_unmet_need(nodes, {"CPU": 1, "fpga": 2}) == (
        "hydra.launcher.remote.resources.fpga=2: no machine of the Ray cluster has this: the largest one has 1 fpga"
    )


@pytest.mark.slow
def test_a_ray_job_that_fits_on_no_machine_is_an_error(ray_cluster, process):
    ray = ["hydra/launcher=ray", f"hydra.launcher.address={ray_cluster}", "hydra.launcher.num_gpus=1"]
    outcome = process("-m", *TINY, "seed=1", SWEEP, *ray)
    assert outcome.code == 1
    assert "hydra.launcher.num_gpus=1: no machine of the Ray cluster has this: the largest one has 0 GPU" in outcome.err
    assert "Traceback" not in outcome.err
