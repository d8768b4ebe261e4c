"""A sweep on a cluster that is disturbed at random moments, and its comparison with a sequential one.

In the end each job must be done once, with the metrics of a sweep in one process, and the files of finished jobs must
be unchanged. Used by kill_slurm.py and kill_ray.py.
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
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

KILL = runpy.run_path(str(Path(__file__).with_name("kill.py")))
PIECES = '''
import time
from pathlib import Path
from pytorch_lightning import Callback

class Slow(Callback):
    """Slows the epochs down if the file `slow` exists."""
    def on_train_epoch_end(self, trainer, pl_module):
        time.sleep(0.3 if Path("slow").exists() else 0.0)
'''
JOB = [
    *("data=xor", "logger=none", "callbacks=checkpoint", "trainer.max_epochs=30", "test=false"),
    "+callbacks.slow._target_=pieces.Slow",
]


class KilledSweep:
    """A sweep on a cluster that is repeated until all jobs are done.

    Args:
        directory: Working directory.
        jobs: Number of jobs.
        launcher: Overrides that select the cluster.
        environment: Environment variables of the command.
    """

    def __init__(self, directory: Path, jobs: int, launcher: list[str], environment: dict[str, str]) -> None:
        self.directory = directory
        self.arguments = [*JOB, f"seed=range(0,{jobs})", "hydra.sweep.dir=killed", "sweep.retries=10", *launcher]
        self.environment = environment
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the command."""
        return start(self.directory, "killed", self.arguments, self.environment)

    def kill_command(self, rng: random.Random) -> bool:
        """Kill the command with SIGKILL, and repeat it."""
        KILL["kill"]([self.process.pid])
        self.process.wait()
        self.process = self.start()
        return True

    def disturbances(self) -> dict[str, Callable[[random.Random], bool]]:
        """Return the possible disturbances by name; each returns False if nothing of its kind runs."""
        return {"command": self.kill_command}


def start(directory: Path, name: str, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a sweep; its output is appended to NAME.txt."""
    command = [sys.executable, "-m", "trainer", "-m", *arguments]
    with (directory / f"{name}.txt").open("ab") as output:
        return subprocess.Popen(
            command, cwd=directory, env=environment, stdout=output, stderr=output, start_new_session=True
        )


def kill_process(condition: Callable[[Path], bool]) -> bool:
    """Kill the first process whose directory in /proc fulfils a condition; return False if there is none."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and condition(entry):
                os.kill(int(entry.name), signal.SIGKILL)
                return True
        except OSError:  # it has ended
            continue
    return False


def create_parser() -> argparse.ArgumentParser:
    """Return the parser of the common options."""
    parser = argparse.ArgumentParser()
    for name, default in {"jobs": 24, "kills": 20, "seed": 1, "nodes": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--directory", type=Path, default=None)
    return parser


def run_killed_sweep(sweep: KilledSweep, options: argparse.Namespace) -> Counter[str]:
    """Kill a sweep until all jobs are done or the number of kills is reached; then let it end. Return the kills."""
    rng = random.Random(options.seed)
    counts: Counter[str] = Counter()
    fingerprints: dict = {}
    names: list[str] = []
    path = sweep.directory / "killed"
    while counts.total() < options.kills:
        time.sleep(rng.uniform(1, 8))
        if sweep.process.poll() is not None:  # all jobs have ended, although some may have failed
            if all(job.state == "done" for job in KILL["read_jobs"](path)):
                break
            sweep.process = sweep.start()
        disturbances = sweep.disturbances()
        names = names or rng.sample([*disturbances], len(disturbances))  # each of them before the first one again
        name = names.pop()
        if disturbances[name](rng):
            counts[name] += 1
            jobs = KILL["read_jobs"](path)
            n_done = sum(job.state == "done" for job in jobs)
            print(f"kill {counts.total()}: {name}; {n_done} of {options.jobs} done", flush=True)
        for file, expected in fingerprints.items():
            assert KILL["fingerprint"](file) == expected, file
        fingerprints = KILL["finished_files"](path, KILL["read_jobs"](path))
    while any(job.state != "done" for job in KILL["read_jobs"](path)):
        sweep.process.wait(600)
        sweep.process = sweep.start()
        time.sleep(1)
    sweep.process.wait(600)
    return counts


def compare_with_sequential_sweep(
    options: argparse.Namespace, start_cluster: Callable[[Path], AbstractContextManager[KilledSweep]]
) -> None:
    """Run the comparison and print the result.

    Args:
        options: Options of `create_parser`.
        start_cluster: Function that starts a cluster and a sweep in a directory, and stops the cluster in the end.

    Raises:
        AssertionError: A condition is violated.
    """
    directory = options.directory or Path(tempfile.mkdtemp())
    directory.mkdir(exist_ok=True)
    (directory / "pieces.py").write_text(PIECES)
    sequential = [*JOB, f"seed=range(0,{options.jobs})", "hydra.sweep.dir=reference"]
    assert start(directory, "reference", sequential, dict(os.environ)).wait() == 0
    reference = {job.identity: job for job in KILL["read_jobs"](directory / "reference")}
    (directory / "slow").touch()
    start_time = time.monotonic()
    with start_cluster(directory) as sweep:
        try:
            counts = run_killed_sweep(sweep, options)
        finally:
            KILL["kill"]([sweep.process.pid])
            sweep.process.wait()
    jobs = KILL["read_jobs"](directory / "killed")
    KILL["compare"](jobs, reference, options.jobs)
    retries = sum(job.attempts - 1 for job in jobs)
    kills = ", ".join(f"{count} x {name}" for name, count in counts.items())
    minutes = (time.monotonic() - start_time) / 60
    print(f"{len(jobs)} jobs done after {counts.total()} kills ({kills}) in {minutes:.0f} minutes")
    print(f"{retries} attempts more; equal results")
