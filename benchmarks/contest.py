"""Contestants, each in a process of its own that stays warm: they take turns, and none sees what another has set."""

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

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("TRAINER_DATA_DIR", "data")).resolve()

# for the processes to come, which run elsewhere
os.environ["TRAINER_DATA_DIR"] = str(DATA)
# this checkout is what is measured, wherever the command comes from
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent / "src"), str(HERE)])
sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
# how long waiting threads keep their core; the command sets it by itself, so that the rivals have it too
os.environ.setdefault("GOMP_SPINCOUNT", "3000")


class Contest:
    """A process for each contestant, begun when it is first asked for; use it in a `with` statement.

    Args:
        folder: Where all runs write; what a contestant prints is in NAME.log there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, ProcessPoolExecutor] = {}

    def __enter__(self) -> "Contest":
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def end(self) -> None:
        """End all processes; the next measurement begins new ones."""
        for process in self.processes.values():
            process.shutdown()
        self.processes.clear()

    def measure(self, contestant: str, words: list[str], *, what: str = "train", steps: int = 0) -> float:
        """Steps a second of a training, or examples a second of a test.

        Args:
            contestant: ours, plain, tutorial or template.
            words: What ours is told; it says what the others have to do.
            what: train or test; of ours, whole_test as well.
            steps: Of the template's way alone, if not as many as the words say.
        """
        if contestant not in self.processes:
            log = self.folder / f"{contestant}.log"
            self.processes[contestant] = ProcessPoolExecutor(1, get_context("spawn"), _begin, (log,))
        process = self.processes[contestant]
        done, seconds = process.submit(_measure, contestant, words, what, steps, self.folder).result()
        return done / seconds

    def last_words(self) -> str:
        """The last lines that each contestant printed."""
        logs = {log.name: log.read_text(errors="replace").splitlines()[-12:] for log in self.folder.glob("*.log")}
        return "\n".join(f"{name}: {line}" for name, said in logs.items() for line in said)


def _begin(log: Path) -> None:
    """What a contestant prints goes into a file."""
    os.environ["PYTHONWARNINGS"] = "ignore"
    stream = log.open("a")
    for number in (1, 2):
        os.dup2(stream.fileno(), number)


def _measure(contestant: str, words: list[str], what: str, steps: int, folder: Path) -> tuple[int, float]:
    """One measurement, in the contestant's process and in a new folder that is deleted afterwards."""
    from jobs import job_of

    module = importlib.import_module(contestant.split()[0])
    place = Path(tempfile.mkdtemp(prefix=f"{contestant}_", dir=folder))
    try:
        if module.__name__ == "ours":
            return getattr(module, what)(words, place)
        job = job_of(tuple(words))
        job = replace(job, net=deepcopy(job.net))  # each time from the same weights
        if module.__name__ == "template":
            return module.train(job, place, steps, long_epochs=contestant != "template")
        # a script would not import Lightning, which makes each step of Adam count GPUs
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
        return getattr(module, what)(job, place)
    finally:
        shutil.rmtree(place)
