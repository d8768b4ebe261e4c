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


class Contest:
    """A process for each contestant, begun when it is first asked for; use it in a `with` statement.

    Args:
        folder: Where all runs write; what a contestant prints is in NAME.log there.
        quick: Whether the measurements are the short ones.
    """

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.folder, self.quick = folder, quick
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

    def measure(self, contestant: str, work: str, *, what: str = "train") -> float:
        """Steps a second of a training, or examples a second of a test (`what="test"`)."""
        if contestant not in self.processes:
            self.processes[contestant] = ProcessPoolExecutor(
                1, get_context("spawn"), _begin, (self.folder / f"{contestant}.log",)
            )
        steps, seconds = (
            self.processes[contestant].submit(_measure, contestant, work, what, self.folder, self.quick).result()
        )
        return steps / seconds


def _begin(log: Path) -> None:
    """What a contestant prints goes into a file."""
    os.environ["PYTHONWARNINGS"] = "ignore"
    stream = log.open("a")
    for number in (1, 2):
        os.dup2(stream.fileno(), number)
    sys.path.insert(0, str(HERE))


def _measure(contestant: str, work: str, what: str, folder: Path, quick: bool) -> tuple[int, float]:
    """One measurement, in the contestant's process and in a new folder that is deleted afterwards."""
    from jobs import job_of
    from works import WORKS, words_of

    quick = quick and what == "train"  # a test takes a second or two: it is always of all
    module = importlib.import_module(contestant)
    place = Path(tempfile.mkdtemp(prefix=f"{contestant}_", dir=folder))
    try:
        if contestant == "ours":
            rows, seconds = getattr(module, what)(words_of(work, folder, quick=quick), place)
            return rows, seconds
        job = job_of(work, folder, quick=quick)
        job = replace(job, net=deepcopy(job.net))  # each time from the same weights
        if contestant == "template":
            return module.train(job, place, WORKS[work].template_steps[0 if quick else 1])
        return getattr(module, what)(job, place)
    finally:
        shutil.rmtree(place)
