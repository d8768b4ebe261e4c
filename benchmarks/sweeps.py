"""Jobs per minute of sweeps, overhead of ledger and launcher, time of a large plan, and scheduling without batches."""

import importlib.util
import tempfile
import time
from pathlib import Path

from processes import TRAINER, run_python
from table import Round

SMALL = "experiment=diabetes_tutorial"
EPOCHS = (5, 20)  # of a short and of a long measurement
JOBS = (6, 24)
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
JOB_UNITS = (6, 1, 1, 1, 1, 1, 1)
WAIT = """
import time
from pytorch_lightning import Callback

class Wait(Callback):
    def __init__(self, seconds): self.seconds = seconds
    def on_fit_start(self, trainer, pl_module): time.sleep(self.seconds)
"""
PLAN = """
import sys
from trainer.cli.main import main
try:
    main()
finally:
    assert "torch" not in sys.modules
"""


def measure_small_jobs(directory: Path, *, quick: bool) -> Round:
    """Return the jobs per minute of sweeps of a small training over seeds, for the whole command."""
    epochs = EPOCHS[0 if quick else 1]
    n_jobs = JOBS[0 if quick else 1]
    overrides = [SMALL, f"trainer.max_epochs={epochs}", "test=false"]
    job = directory / f"small_{epochs}.job"
    if not job.exists():
        program = f"import torch, jobs; torch.save(jobs.build_job({tuple(overrides)!r}), {str(job)!r})"
        run_python(["-c", program], directory)
    seeds = f"seed=range(0,{n_jobs})"
    ours = [*TRAINER, "-m", *overrides, seeds]
    script = str(Path(__file__).with_name("template_sweep.py"))
    template = [script, "-m", f"job={job}", f"steps={29 * epochs}", seeds]
    commands = {
        "ours": ours,
        "template, basic launcher": template,
        "ours, sweep.workers=2": [*ours, "sweep.workers=2"],
        "ours, joblib": [*ours, *JOBLIB],
        "template, joblib": [*template, *JOBLIB],
    }
    if importlib.util.find_spec("ray"):
        commands["ours, Ray"] = [*ours, "hydra/launcher=ray", "sweep.workers=2"]
    if importlib.util.find_spec("submitit"):
        commands["ours, submitit"] = [*ours, "hydra/launcher=submitit_local", "sweep.workers=2"]
    results = {}
    for name, command in commands.items():
        with tempfile.TemporaryDirectory(dir=directory) as cwd:
            results[name] = 60 * n_jobs / run_python(command, Path(cwd))[0]
    return results


def measure_overhead(directory: Path, *, quick: bool) -> Round:
    """Return milliseconds per job: of the run by its `result.json`, and of the rest, in one process and in workers.

    Also of only the ledger, to start and finish a job, with as many jobs in it as above and with 10,000.
    """
    from trainer.sweeps.store.job_store import Ledger

    n_jobs = JOBS[0 if quick else 1]
    results = {}
    for name, workers in {"in turn": [], "in processes": ["sweep.workers=1"]}.items():
        with tempfile.TemporaryDirectory(dir=directory) as cwd:
            seeds = f"seed=range(0,{n_jobs})"
            overrides = [SMALL, "trainer.max_epochs=1", "test=false", seeds, "hydra.sweep.dir=s", *workers]
            run_python([*TRAINER, "-m", *overrides], Path(cwd))
            jobs = Ledger(Path(cwd) / "s").jobs()[1:]  # the first job includes imports
            run_seconds = sum(job.result["seconds"] for job in jobs if job.result)
            sweep_seconds = jobs[-1].ended - jobs[0].started
            results[f"a run, {name}"] = 1000 * run_seconds / len(jobs)
            results[f"beside it, {name}"] = 1000 * (sweep_seconds - run_seconds) / len(jobs)
    for count in (n_jobs, 10_000):
        with tempfile.TemporaryDirectory(dir=directory) as cwd:
            ledger = Ledger.open_or_create(Path(cwd))
            ledger.add_jobs([], {f"{number:016}": [f"seed={number}"] for number in range(count)})
            jobs = ledger.jobs()[:20]
            start = time.perf_counter()
            for job in jobs:
                ledger.claim(job)
                ledger.finish(job.number, "failed")
            name = "the ledger" if count == n_jobs else "the ledger of 10,000"
            results[name] = 1000 * (time.perf_counter() - start) / len(jobs)
    return results


def measure_plan(directory: Path, *, quick: bool) -> Round:
    """Return the seconds of a plan of 10,000 jobs, which imports no torch, and of `import torch`."""
    overrides = ["-m", "data=xor", "seed=range(0,100)", "optimizer.lr=range(1,101)", "--plan"]
    return {
        "ours": run_python(["-c", PLAN, *overrides], directory)[0],
        "import torch": run_python(["-c", "import torch"], directory)[0],
    }


def measure_barrier(directory: Path, *, quick: bool) -> Round:
    """Return the units of time from the first start to the last end of jobs of `JOB_UNITS`, two at a time."""
    from trainer.sweeps.store.job_store import Ledger

    unit = 4.0 if quick else 10.0
    lengths = ",".join(str(unit * units + number / 1000) for number, units in enumerate(JOB_UNITS))  # all different
    tiny = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "test=false"]
    wait = ["+callbacks.wait._target_=wait.Wait", f"+callbacks.wait.seconds={lengths}", "hydra.sweep.dir=s"]
    launchers = {"ours": ["sweep.workers=2"], "joblib in batches of two": [*JOBLIB, "hydra.sweeper.max_batch_size=2"]}
    results = {}
    for name, launcher in launchers.items():
        with tempfile.TemporaryDirectory(dir=directory) as cwd:
            (Path(cwd) / "wait.py").write_text(WAIT)
            run_python([*TRAINER, "-m", *tiny, *wait, *launcher], Path(cwd))
            jobs = Ledger(Path(cwd) / "s").jobs()
            results[name] = (max(job.ended for job in jobs) - min(job.started for job in jobs)) / unit
    return results


MEASURES = {
    "small_jobs": measure_small_jobs,
    "overhead": measure_overhead,
    "plan": measure_plan,
    "barrier": measure_barrier,
}
