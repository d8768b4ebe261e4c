"""What is measured of sweeps: jobs a minute, what ledger and launcher cost, a large plan, no waiting for batches."""

import importlib.util
import tempfile
import time
from pathlib import Path

from processes import TRAINER, process
from table import Round

SMALL = "experiment=diabetes_tutorial"
EPOCHS, JOBS = (5, 20), (6, 24)  # of a short measurement, and of a thorough one
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
UNITS = (6, 1, 1, 1, 1, 1, 1)
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


def small_jobs(folder: Path, *, quick: bool) -> Round:
    """Jobs a minute of sweeps of one small training by several seeds, from the start of the command to its end."""
    epochs, jobs = EPOCHS[0 if quick else 1], JOBS[0 if quick else 1]
    words = [SMALL, f"trainer.max_epochs={epochs}", "test=false"]
    work = folder / f"small_{epochs}.job"
    if not work.exists():
        arguments = f"{tuple(words)!r}"
        process(["-c", f"import torch, jobs; torch.save(jobs.job_of({arguments}), {str(work)!r})"], folder)
    seeds = f"seed=range(0,{jobs})"
    ours = [*TRAINER, "-m", *words, seeds]
    program = str(Path(__file__).with_name("template_sweep.py"))
    template = [program, "-m", f"job={work}", f"steps={29 * epochs}", seeds]
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
    return {name: 60 * jobs / _seconds(command, folder) for name, command in commands.items()}


def overhead(folder: Path, *, quick: bool) -> Round:
    """Milliseconds a job: in the run itself, as its `result.json` says, and beside it, in turn and side by side.

    And of the ledger alone, to begin and end a job, with as many jobs in it as here and with 10,000.
    """
    from trainer.sweep.store.job_store import Ledger

    jobs, found = JOBS[0 if quick else 1], {}
    for name, more in {"in turn": [], "in processes": ["sweep.workers=1"]}.items():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            words = [SMALL, "trainer.max_epochs=1", "test=false", f"seed=range(0,{jobs})", "hydra.sweep.dir=s", *more]
            process([*TRAINER, "-m", *words], Path(place))
            done = Ledger(Path(place) / "s").jobs()[1:]  # the first one imports
            own = sum(job.result["seconds"] for job in done if job.result)
            from_first_to_last = done[-1].ended - done[0].began
            found[f"a run, {name}"] = 1000 * own / len(done)
            found[f"beside it, {name}"] = 1000 * (from_first_to_last - own) / len(done)
    for count in (jobs, 10_000):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            ledger = Ledger.opened(Path(place))
            ledger.enrol([], {f"{number:016}": [f"seed={number}"] for number in range(count)})
            some = ledger.jobs()[:20]
            began = time.perf_counter()
            for job in some:
                ledger.start(job)
                ledger.end(job.number, "failed")
            name = "the ledger" if count == jobs else "the ledger of 10,000"
            found[name] = 1000 * (time.perf_counter() - began) / len(some)
    return found


def plan(folder: Path, *, quick: bool) -> Round:
    """Seconds of a plan of 10,000 jobs, which imports no torch, and of `import torch`."""
    words = ["-m", "data=xor", "seed=range(0,100)", "optimizer.lr=range(1,101)", "--plan"]
    return {
        "ours": process(["-c", PLAN, *words], folder)[0],
        "import torch": process(["-c", "import torch"], folder)[0],
    }


def barrier(folder: Path, *, quick: bool) -> Round:
    """Units of time from the first begin to the last end of jobs that take 6, 1, 1, 1, 1, 1 and 1, two at a time."""
    from trainer.sweep.store.job_store import Ledger

    unit, found = 4.0 if quick else 10.0, {}
    lengths = ",".join(str(unit * units + number / 1000) for number, units in enumerate(UNITS))  # no two jobs alike
    tiny = ["data=xor", "callbacks=none", "logger=none", "trainer.max_epochs=1", "test=false"]
    wait = ["+callbacks.wait._target_=wait.Wait", f"+callbacks.wait.seconds={lengths}", "hydra.sweep.dir=s"]
    ways = {"ours": ["sweep.workers=2"], "joblib in batches of two": [*JOBLIB, "hydra.sweeper.max_batch_size=2"]}
    for name, more in ways.items():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            (Path(place) / "wait.py").write_text(WAIT)
            process([*TRAINER, "-m", *tiny, *wait, *more], Path(place))
            jobs = Ledger(Path(place) / "s").jobs()
            found[name] = (max(job.ended for job in jobs) - min(job.began for job in jobs)) / unit
    return found


MEASURES = {"small_jobs": small_jobs, "overhead": overhead, "plan": plan, "barrier": barrier}


def _seconds(arguments: list[str], folder: Path) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        return process(arguments, Path(place))[0]
