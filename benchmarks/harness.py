"""Benchmark harness that runs each contestant in a separate warm process, so that they do not affect each other."""

import importlib
import os
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

BENCHMARK_DIR = Path(__file__).resolve().parent
DATA_DIR = Path(os.environ.get("TRAINER_DATA_DIR", "data")).resolve()

# the processes run in other directories
os.environ["TRAINER_DATA_DIR"] = str(DATA_DIR)
# measure this checkout, whatever is installed
os.environ["PYTHONPATH"] = os.pathsep.join([str(BENCHMARK_DIR.parent / "src"), str(BENCHMARK_DIR)])
sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
# the time that waiting threads keep their core; our command sets it, so the rivals get it as well
os.environ.setdefault("GOMP_SPINCOUNT", "3000")


class Harness:
    """A process for each contestant, started at its first measurement; a context manager.

    Args:
        directory: Directory for the files of all runs; the output of a contestant is stored in NAME.log.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: dict[str, ProcessPoolExecutor] = {}

    def __enter__(self) -> "Harness":
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes.values():
            process.shutdown()
        self.processes.clear()

    def measure(self, contestant: str, overrides: list[str], *, function: str = "train", steps: int = 0) -> float:
        """Return the steps per second of a training, or the examples per second of a test.

        Args:
            contestant: ours, plain, tutorial or template.
            overrides: Overrides of our command, which define the workload of all contestants.
            function: Function of the contestant's module: train or test; of ours also run_all and test_with_plots.
            steps: Number of steps of the template; 0 for that of the workload.
        """
        if contestant not in self.processes:
            log = self.directory / f"{contestant}.log"
            self.processes[contestant] = ProcessPoolExecutor(1, get_context("spawn"), _redirect_output, (log,))
        process = self.processes[contestant]
        count, seconds = process.submit(_measure, contestant, overrides, function, steps, self.directory).result()
        return count / seconds

    def last_output(self) -> str:
        """Return the last lines of the output of each contestant."""
        logs = {log.name: log.read_text(errors="replace").splitlines()[-12:] for log in self.directory.glob("*.log")}
        return "\n".join(f"{name}: {line}" for name, lines in logs.items() for line in lines)


def _redirect_output(log: Path) -> None:
    os.environ["PYTHONWARNINGS"] = "ignore"
    stream = log.open("a")
    for number in (1, 2):
        os.dup2(stream.fileno(), number)


def _measure(contestant: str, overrides: list[str], function: str, steps: int, parent: Path) -> tuple[int, float]:
    """Run one measurement in the process of the contestant, in a new directory that is deleted afterwards."""
    from jobs import build_job

    module = importlib.import_module(contestant.split()[0])
    directory = Path(tempfile.mkdtemp(prefix=f"{contestant}_", dir=parent))
    try:
        if module.__name__ == "ours":
            return getattr(module, function)(overrides, directory)
        job = build_job(tuple(overrides))
        job = replace(job, net=deepcopy(job.net))  # the same initial weights each time
        if module.__name__ == "template":
            return module.train(job, directory, steps, long_epochs=contestant != "template")
        # a script would not import Lightning, which makes each step of Adam count GPUs
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
        return getattr(module, function)(job, directory)
    finally:
        shutil.rmtree(directory)
