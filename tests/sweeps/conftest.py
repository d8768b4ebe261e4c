"""Fixtures of sweep tests, and callbacks for their jobs."""

import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.sweeps.store import slurm_queue
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.job_store import Ledger

PIECES = '''
import os, signal, time
from pathlib import Path
import torch
from pytorch_lightning import Callback

class Wait(Callback):
    """Sleeps, then fails in the requested way until the file `healed_by` exists."""
    def __init__(self, seconds=0.0, fails="", healed_by="healed"):
        print("a callback is built")
        self.seconds, self.fails, self.healed_by = seconds, fails, healed_by
    def on_fit_start(self, trainer, pl_module):
        print(f"{torch.get_num_threads()} threads")
        time.sleep(self.seconds)
        if self.fails and not Path(self.healed_by).exists():
            if self.fails in ("polite", "stubborn"):
                if self.fails == "stubborn":
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
                seed = Path(trainer.default_root_dir).name
                Path(f"waiting-{int(seed) + 1}").touch()
                time.sleep(100)
            if self.fails in ("segfault", "killed"):
                os.kill(os.getpid(), signal.SIGSEGV if self.fails == "segfault" else signal.SIGKILL)
            raise RuntimeError(f"requested failure: {self.fails}")

class Slow(Callback):
    """Slows the epochs down, and writes a dot for each to the file PROGRESS-NUMBER."""
    def __init__(self, progress=""):
        self.progress_file = progress
    def on_train_epoch_end(self, trainer, pl_module):
        if self.progress_file:
            with open(f"{self.progress_file}-{Path(trainer.default_root_dir).name}", "a") as file:
                file.write(".")
        time.sleep(0.3)
'''
# two steps of XOR without checkpoints and logs
TINY = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
WAIT = "+callbacks.wait._target_=pieces.Wait"


@pytest.fixture
def pieces(tmp_path: Path) -> Path:
    """Write `pieces.py` with the callbacks; return the directory."""
    (tmp_path / "pieces.py").write_text(PIECES)
    return tmp_path


@pytest.fixture
def jobs(tmp_path: Path):
    """Return a function that reads the jobs of the sweep `s`."""

    def read() -> list[Job]:
        return Ledger(tmp_path / "s").jobs()

    return read


@pytest.fixture
def start_sweep(pieces):
    """Return a function that starts a sweep in `s` in a new session, as in a terminal; its output is in output.txt."""
    processes = []

    def start(*args):
        command = [sys.executable, "-m", "trainer", "-m", *args, "hydra.sweep.dir=s"]
        with (pieces / "output.txt").open("ab") as log:
            processes.append(subprocess.Popen(command, cwd=pieces, stdout=log, stderr=log, start_new_session=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def wait_until():
    """Return a function that waits until a condition is true, while a sweep runs."""

    def wait(condition, sweep=None, seconds=120):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            assert sweep is None or sweep.poll() is None
            time.sleep(0.1)

    return wait


@pytest.fixture(scope="module")
def ray_cluster():
    """Start a Ray cluster of two nodes with one core each on this machine; return its address."""
    pytest.importorskip("ray", reason="Ray is not installed: make install-dev")
    program = (
        "import sys; from ray.cluster_utils import Cluster\n"
        "cluster = Cluster(initialize_head=True, head_node_args={'num_cpus': 1})\n"
        "cluster.add_node(num_cpus=1); cluster.wait_for_nodes()\n"
        "print(cluster.address, flush=True); sys.stdin.readline(); cluster.shutdown()\n"
    )
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", program], text=True, env=environment, **pipes) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()


@pytest.fixture(scope="module", params=["linuxproc", "cgroup"])
def slurm_cluster(request, tmp_path_factory):
    """Start a cluster that signals all processes of a job, or only the first one, for all tests of this module."""
    program = runpy.run_path(str(Path(__file__).with_name("slurm_cluster.py")))
    if missing := program["find_missing_requirement"]():
        pytest.skip(missing)
    if request.param == "cgroup" and not Path("/sys/fs/cgroup/freezer").is_dir():
        pytest.skip("process tracking by cgroups requires the freezer of cgroup v1")
    requeue = request.param == "linuxproc"  # else only jobs that request it
    with program["SlurmCluster"](tmp_path_factory.mktemp("slurm"), tracking=request.param, requeue=requeue) as cluster:
        yield cluster


@pytest.fixture
def slurm(slurm_cluster, monkeypatch):
    """Return an idle cluster that the commands of a test use."""
    cluster = slurm_cluster
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="not installed: make install-dev")
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, cluster.environment[name])
    monkeypatch.setattr(slurm_queue, "slurm_queue", slurm_queue.SlurmQueue())  # without ids of other clusters
    yield cluster
    cluster.run("scancel", "--user=root")
    cluster.run("scontrol", "update", "partition=main", "state=up")
    for name in cluster.names:
        cluster.run("scontrol", "update", f"nodename={name}", "state=resume")
    cluster.wait_until(lambda: "node" not in cluster.run("squeue", "--noheader", "--format=%N %i"))
