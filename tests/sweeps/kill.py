"""Kill a sweep at random moments, resume it each time, and compare it with a sweep that was never stopped.

python tests/sweeps/kill.py [--jobs 24] [--kills 20] [--workers 2] [--sweepers 1] [--seed 1] [--search]
    [--fuse 4] [--directory DIR]

Each kill sends SIGKILL to every process of the sweep. In the end each job must be done once, with the metrics of the
sweep that was never stopped, and the files of finished jobs must be unchanged.

With --search the sweep is a search with pruning. If trials run one after another, it must choose and prune the same
ones; if they run in parallel, where the order is random, each trial must end once.

With --fuse jobs are trained together, up to that number in a process. Each kill sends SIGKILL or SIGTERM to all
processes, the command or a worker. The results must be those of jobs that were trained alone, except for rounding.
"""

import argparse
import hashlib
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from trainer.core.errors import UserError
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.job_store import Ledger

FINAL_STATES = {"done", "pruned"}
OVERRIDES = ["--multirun", "data=xor", "trainer.max_epochs=2", "callbacks.checkpoint.save_last=true"]
SEARCH = [
    *("optimizer.lr=tag(log,interval(0.0001,1))", "model.net.hidden=[4],[8]", "trainer.max_epochs=4"),
    *("optimized_metric=val/loss", "sweep.pruner=median", "callbacks.checkpoint.save_last=true"),
    "sweep.sampler={_target_:optuna.samplers.TPESampler,n_startup_trials:4}",
]


def start(directory: Path, sweep: str, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Start or resume a sweep in a new session."""
    workers = [f"sweep.workers={options.workers}"] if options.workers else []
    axes = [*SEARCH, f"sweep.n_trials={options.jobs}"] if options.search else [f"seed=range(0,{options.jobs})"]
    output = (directory / f"{sweep}.txt").open("ab")
    fuse = options.fuse if sweep == "killed" and options.fuse else "false"
    settings = [f"hydra.sweep.dir={sweep}", *workers, f"sweep.fuse={fuse}"]
    # rounding errors that change the sign of an input of a ReLU grow
    settings += ["model.net.activation=tanh"] if options.fuse else []
    command = [sys.executable, "-m", "trainer", *OVERRIDES, *axes, *settings]
    return subprocess.Popen(command, cwd=directory, stdout=output, stderr=output, start_new_session=True)


def find_processes(session: int) -> list[int]:
    """Return the processes of a session."""
    processes = []
    for entry in Path("/proc").iterdir():
        with suppress(ProcessLookupError):
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                processes.append(int(entry.name))
    return processes


def find_workers(session: int) -> list[int]:
    """Return the processes of a session that run jobs; each is the leader of a process group."""
    workers = []
    for process in find_processes(session):
        with suppress(ProcessLookupError):
            if os.getpgid(process) == process != session:
                workers.append(process)
    return workers


def kill(processes: Sequence[int], number: int = signal.SIGKILL) -> None:
    """Send a signal to processes."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def kill_part(session: int, rng: random.Random) -> str:
    """Send a random signal to all processes of a session, to its command or to a worker; return a description."""
    number = rng.choice([signal.SIGKILL, signal.SIGTERM])
    target = rng.choice(["all", "command", "worker"])
    workers = find_workers(session)
    if target == "all" and number == signal.SIGKILL:
        kill(find_processes(session))
    elif target == "worker" and workers:
        kill([rng.choice(workers)], number)
    else:
        kill([session], number)
        target = "command"
    return f"{number.name} to {target}"


def kill_until_stopped(command: "subprocess.Popen[bytes]", rng: random.Random) -> list[str]:
    """Kill workers of a command until a signal is sent to the command, or it has ended; describe the signals."""
    signals = [kill_part(command.pid, rng)]
    while signals[-1].endswith("worker") and command.poll() is None:
        wait_for_jobs([command])
        time.sleep(rng.uniform(0, 2))
        signals.append(kill_part(command.pid, rng))
    return signals


def read_jobs(sweep: Path) -> list[Job]:
    """Return the jobs in the ledger; none if there is no ledger yet."""
    try:
        return Ledger(sweep).jobs()
    except UserError:
        return []


def fingerprint(file: Path) -> tuple[str, int]:
    """Return the hash and the modification time of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns


def finished_files(sweep: Path, jobs: list[Job]) -> dict[Path, tuple[str, int]]:
    """Return the fingerprint of every file of finished jobs."""
    files = [file for job in jobs if job.state in FINAL_STATES for file in (sweep / str(job.number)).rglob("*")]
    return {file: fingerprint(file) for file in files if file.is_file()}


def wait_for_jobs(commands: Sequence[subprocess.Popen[bytes]]) -> None:
    """Return when a process of a command runs jobs, or when all commands have ended."""
    while None in [command.poll() for command in commands]:
        if any(find_workers(command.pid) for command in commands):
            return
        time.sleep(0.05)


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser()
    for name, default in {"jobs": 24, "kills": 20, "workers": 0, "sweepers": 1, "seed": 1, "fuse": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--directory", type=Path, default=None)
    return parser.parse_args()


def run_reference(directory: Path, options: argparse.Namespace) -> tuple[dict[str, Job], float, float]:
    """Run the sweep that is never stopped; return its jobs by identity, the seconds of a job, and those before."""
    start_time = time.monotonic()
    code = start(directory, "reference", options).wait()
    assert code == 0, (directory / "reference.txt").read_text()
    reference = {job.identity: job for job in read_jobs(directory / "reference")}
    first, *_, last_job = reference.values()
    assert first.started
    assert last_job.ended
    job_seconds = (last_job.ended - first.started) / options.jobs
    startup_seconds = time.monotonic() - start_time - options.jobs * job_seconds
    return reference, job_seconds, startup_seconds


def main() -> None:
    """Run the comparison and print the result; the exit status is 1 if a condition is violated."""
    options = parse_options()
    directory = options.directory or Path(tempfile.mkdtemp())
    directory.mkdir(exist_ok=True)
    rng = random.Random(options.seed)

    reference, job_seconds, startup_seconds = run_reference(directory, options)
    sweep = directory / "killed"
    fingerprints: dict[Path, tuple[str, int]] = {}
    kills = 0
    while True:
        processes = [start(directory, "killed", options) for _ in range(options.sweepers)]
        is_last = kills >= options.kills
        run_seconds = 2 * options.jobs / max(1, options.kills) * job_seconds  # the last kill comes near the end
        seconds = 3600 if is_last else rng.uniform(0.5 * startup_seconds, startup_seconds + run_seconds)
        if options.fuse and not is_last:
            wait_for_jobs(processes)
            seconds = rng.uniform(0, 2)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(process.poll() is None for process in processes):
            time.sleep(0.01)
        signals = []
        for process in processes:
            if options.fuse and not is_last:
                signals += kill_until_stopped(process, rng)
            else:
                kill(find_processes(process.pid))
        codes = [process.wait() for process in processes]
        jobs = read_jobs(sweep)
        for file, expected in fingerprints.items():
            assert fingerprint(file) == expected, file
        fingerprints = finished_files(sweep, jobs)
        n_done = sum(job.state in FINAL_STATES for job in jobs)
        message = f"kill {kills + 1}: {n_done} of {options.jobs} done {', '.join(signals)}".rstrip()
        print(f"last: exit {codes}" if is_last else message, flush=True)
        if is_last:
            break
        kills += max(1, len(signals))
        if n_done == options.jobs and all(code == 0 for code in codes):
            print(f"all done after {kills} kills")
            break
    assert codes == [0] * options.sweepers, (directory / "killed.txt").read_text()[-3000:]
    is_random = options.search and (options.workers > 0 or options.sweepers > 1)
    compare(jobs, None if is_random else reference, options.jobs, 1e-5 if options.fuse else 0)
    retries = sum(job.attempts - 1 for job in jobs)
    suffix = "" if is_random else "; equal results"
    print(f"{len(jobs)} jobs done after {kills} kills, {retries} attempts more than jobs{suffix}")


def are_equal(first: dict[str, float], second: dict[str, float], tolerance: float) -> bool:
    """Return whether metrics are equal, except for a relative tolerance."""
    return [*first] == [*second] and all(
        first[name] == second[name] or math.isclose(first[name], second[name], rel_tol=tolerance) for name in first
    )


def compare(jobs: list[Job], reference: dict[str, Job] | None, count: int, tolerance: float = 0) -> None:
    """Check that every job is done once, with the same metrics as in the reference."""
    assert [job.number for job in jobs] == [*range(count)]
    assert {job.state for job in jobs} <= FINAL_STATES
    assert len({job.identity for job in jobs}) == count
    for job in jobs if reference else ():
        assert job.state == reference[job.identity].state
        expected = reference[job.identity].result
        assert expected is not None
        assert job.result is not None
        assert are_equal(job.result["metrics"], expected["metrics"], tolerance), job.number
        assert job.result["fingerprint"] == job.identity


if __name__ == "__main__":
    main()
