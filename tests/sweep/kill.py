"""Kill a sweep at random moments, run it again each time, and compare with one that was never stopped.

python tests/sweep/kill.py [--jobs 24] [--kills 20] [--workers 2] [--sweepers 1] [--seed 1] [--search]
    [--folder DIR]

Each time every process of the sweep gets SIGKILL at once. In the end each job must be done, none twice, all with the
numbers of the sweep that was never stopped, and nothing that a finished job has left may have been touched.

With --search it is a search with pruning in place of a grid. One trial after another it must choose and prune the very
same; side by side, where the order is chance, each trial must be over once.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trainer.core.errors import UserError
from trainer.sweep.store.job_store import Job, Ledger

OVER = {"done", "pruned"}
WORDS = ["--multirun", "data=xor", "trainer.max_epochs=2", "callbacks.checkpoint.save_last=true"]


SEARCH = [
    *("optimizer.lr=tag(log,interval(0.0001,1))", "model.net.hidden=[4],[8]", "trainer.max_epochs=4"),
    *("optimized_metric=val/loss", "sweep.pruner=median", "callbacks.checkpoint.save_last=true"),
    "sweep.sampler={_target_:optuna.samplers.TPESampler,n_startup_trials:4}",
]


def begin(folder: Path, sweep: str, jobs: int, workers: int, *, search: bool) -> subprocess.Popen[bytes]:
    """Begin a sweep, or go on with it, in a session of its own."""
    side = [f"sweep.workers={workers}"] if workers else []
    axes = [*SEARCH, f"sweep.trials={jobs}"] if search else [f"seed=range(0,{jobs})"]
    words = [*WORDS, *axes, f"hydra.sweep.dir={sweep}", *side]
    output = (folder / f"{sweep}.txt").open("ab")
    command = [sys.executable, "-m", "trainer", *words]
    return subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, start_new_session=True)


def kill(session: int) -> None:
    """Kill all processes of a session."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                os.kill(int(entry.name), signal.SIGKILL)
        except ProcessLookupError:
            pass


def jobs_of(sweep: Path) -> list[Job]:
    """The jobs in the ledger; none where there is no ledger yet."""
    try:
        return Ledger(sweep).jobs()
    except UserError:
        return []


def left_by(sweep: Path, jobs: list[Job]) -> dict[Path, tuple[str, int]]:
    """Content and time of every file that finished jobs have left."""
    files = [file for job in jobs if job.state in OVER for file in (sweep / str(job.number)).rglob("*")]
    return {
        file: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in files
        if file.is_file()
    }


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser()
    for name, default in {"jobs": 24, "kills": 20, "workers": 0, "sweepers": 1, "seed": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--folder", type=Path, default=None)
    return parser.parse_args()


def main() -> None:
    """Do it, and say how it went; the exit status is 1 if anything is not as it must be."""
    asked = arguments()
    folder = asked.folder or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    dice = random.Random(asked.seed)

    began = time.monotonic()
    assert begin(folder, "whole", asked.jobs, asked.workers, search=asked.search).wait() == 0, (
        folder / "whole.txt"
    ).read_text()
    first, *_, last_job = jobs_of(folder / "whole")
    assert first.began
    assert last_job.ended
    job_seconds = (last_job.ended - first.began) / asked.jobs
    start = time.monotonic() - began - asked.jobs * job_seconds
    reference = {job.identity: job for job in jobs_of(folder / "whole")}

    sweep, kept, kills = folder / "killed", {}, 0
    while True:
        several = [
            begin(folder, "killed", asked.jobs, asked.workers, search=asked.search) for _ in range(asked.sweepers)
        ]
        last = kills == asked.kills
        a_try = 2 * asked.jobs / max(1, asked.kills) * job_seconds  # so that the last kill comes near the end
        deadline = time.monotonic() + (3600 if last else dice.uniform(0.5 * start, start + a_try))
        while time.monotonic() < deadline and any(each.poll() is None for each in several):
            time.sleep(0.01)
        for each in several:
            kill(each.pid)
        codes = [each.wait() for each in several]
        jobs = jobs_of(sweep)
        for file, (content, at) in kept.items():
            assert (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns) == (content, at), file
        kept = left_by(sweep, jobs)
        done = sum(job.state in OVER for job in jobs)
        print(f"kill {kills + 1}: {done} of {asked.jobs} done" if not last else f"last: exit {codes}", flush=True)
        if last:
            break
        kills += 1
        if done == asked.jobs and all(code == 0 for code in codes):
            print(f"all done after {kills} kills")
            break
    assert codes == [0] * asked.sweepers, (sweep.parent / "killed.txt").read_text()[-3000:]
    by_chance = asked.search and (asked.workers > 0 or asked.sweepers > 1)
    compare(jobs, None if by_chance else reference, asked.jobs)
    tell(jobs, kills, "" if by_chance else "; equal results")


def compare(jobs: list[Job], reference: dict[str, Job] | None, count: int) -> None:
    """Make sure that every job is done, once, with the numbers that it must have where these are known."""
    assert [job.number for job in jobs] == [*range(count)]
    assert {job.state for job in jobs} <= OVER
    assert len({job.identity for job in jobs}) == count
    for job in jobs if reference else ():
        assert job.state == reference[job.identity].state
        expected = reference[job.identity].result
        assert expected is not None
        assert job.result is not None
        assert job.result["metrics"] == expected["metrics"], job.number
        assert job.result["fingerprint"] == job.identity


def tell(jobs: list[Job], kills: int, equal: str) -> None:
    """Say that all went well."""
    again = sum(job.tries - 1 for job in jobs)
    print(f"{len(jobs)} jobs done after {kills} kills, {again} tries more than jobs{equal}")


if __name__ == "__main__":
    main()
