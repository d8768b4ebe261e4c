"""Kill the command, nodes and jobs of a sweep on a real Slurm at random moments, and compare it with a sequential one.

python tests/sweep/kill_slurm.py [--jobs 24] [--kills 20] [--seed 1] [--tracking linuxproc] [--directory DIR]

In the end each job must be done once, with the metrics of a sweep in one process, and the files of finished jobs must
be unchanged. The command is killed with SIGKILL and repeated, a node loses its power and returns, a job is requeued,
cancelled, or its process is killed.
"""

import argparse
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent
KILL = runpy.run_path(str(TESTS / "kill.py"))
SLURM = runpy.run_path(str(TESTS / "slurm_cluster.py"))
JOB = ["data=xor", "logger=none", "callbacks=checkpoint", "trainer.max_epochs=3", "test=false"]
KINDS = ("command", "node", "requeue", "cancel", "process")
SUBMISSION = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=main", "sweep.retries=10"]


class KilledSweep:
    """A sweep on a cluster that is repeated until all jobs are done.

    Args:
        cluster: Cluster.
        directory: Working directory.
        jobs: Number of jobs.
    """

    def __init__(self, cluster, directory: Path, jobs: int) -> None:
        self.cluster = cluster
        self.directory = directory
        self.arguments = [*JOB, f"seed=range(0,{jobs})", "hydra.sweep.dir=killed", *SUBMISSION]
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the command."""
        return start(self.directory, "killed", self.arguments, self.cluster.environment)

    def kill(self, kind: str, rng: random.Random) -> bool:
        """Kill something; return False if nothing of the kind runs."""
        if kind == "command":
            KILL["kill"](self.process.pid)
            self.process.wait()
            self.process = self.start()
            return True
        if kind == "node":
            name = rng.choice(self.cluster.names)
            self.cluster.kill_node(name)
            time.sleep(rng.uniform(0, 15))
            self.cluster.start_node(name)
            return True
        running = self.cluster.run("squeue", "--noheader", "--states=running", "--format=%i").split()
        if not running:
            return False
        slurm_id = rng.choice(running)
        if kind == "requeue":
            self.cluster.run("scontrol", "requeue", slurm_id)
        elif kind == "cancel":
            self.cluster.run("scancel", slurm_id)
        else:
            return kill_worker(slurm_id)
        return True


def start(directory: Path, name: str, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a sweep; its output is appended to NAME.txt."""
    command = [sys.executable, "-m", "trainer", "-m", *arguments]
    with (directory / f"{name}.txt").open("ab") as output:
        return subprocess.Popen(
            command, cwd=directory, env=environment, stdout=output, stderr=output, start_new_session=True
        )


def kill_worker(slurm_id: str) -> bool:
    """Kill the training process of a Slurm job; return False if there is none."""
    for entry in Path("/proc").iterdir():
        try:
            variable = f"\0SLURM_JOB_ID={slurm_id}\0".encode()
            if b"spawn_main" in (entry / "cmdline").read_bytes() and variable in (entry / "environ").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
                return True
        except (OSError, ValueError):
            continue
    return False


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser()
    for name, default in {"jobs": 24, "kills": 20, "seed": 1, "nodes": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--tracking", default="linuxproc")
    parser.add_argument("--directory", type=Path, default=None)
    return parser.parse_args()


def run_killed_sweep(sweep: KilledSweep, options: argparse.Namespace) -> Counter:
    """Kill a sweep until all jobs are done or the number of kills is reached; then let it end. Return the kills."""
    rng = random.Random(options.seed)
    counts: Counter[str] = Counter()
    fingerprints: dict = {}
    path = sweep.directory / "killed"
    while counts.total() < options.kills:
        time.sleep(rng.uniform(2, 12))
        if sweep.process.poll() is not None:  # all jobs have ended, although some may have failed
            if all(job.state == "done" for job in KILL["read_jobs"](path)):
                break
            sweep.process = sweep.start()
        kind = rng.choice(KINDS)
        if sweep.kill(kind, rng):
            counts[kind] += 1
            jobs = KILL["read_jobs"](path)
            n_done = sum(job.state == "done" for job in jobs)
            print(f"kill {counts.total()}: {kind}; {n_done} of {options.jobs} done", flush=True)
        for file, expected in fingerprints.items():
            assert KILL["fingerprint"](file) == expected, file
        fingerprints = KILL["finished_files"](path, KILL["read_jobs"](path))
    while any(job.state != "done" for job in KILL["read_jobs"](path)):
        sweep.process.wait(600)
        sweep.process = sweep.start()
        time.sleep(1)
    sweep.process.wait(600)
    return counts


def main() -> None:
    """Run the comparison and print the result; the exit status is 1 if a condition is violated."""
    options = parse_options()
    directory = options.directory or Path(tempfile.mkdtemp())
    directory.mkdir(exist_ok=True)
    sequential = [*JOB, f"seed=range(0,{options.jobs})", "hydra.sweep.dir=reference"]
    assert start(directory, "reference", sequential, dict(os.environ)).wait() == 0
    reference = {job.identity: job for job in KILL["read_jobs"](directory / "reference")}
    with SLURM["SlurmCluster"](directory / "slurm", nodes=options.nodes, tracking=options.tracking) as cluster:
        sweep = KilledSweep(cluster, directory, options.jobs)
        try:
            counts = run_killed_sweep(sweep, options)
        finally:
            KILL["kill"](sweep.process.pid)
            sweep.process.wait()
    jobs = KILL["read_jobs"](directory / "killed")
    KILL["compare"](jobs, reference, options.jobs)
    retries = sum(job.tries - 1 for job in jobs)
    kills = ", ".join(f"{count} x {kind}" for kind, count in counts.items())
    print(f"{len(jobs)} jobs done after {counts.total()} kills ({kills}), {retries} attempts more; equal results")


if __name__ == "__main__":
    main()
