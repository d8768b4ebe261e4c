"""Side by side: each job in a process of its own, and the next begins when one ends.

A job is an ordinary command, `trainer WORDS hydra.run.dir=SWEEP/7`: what fails, crashes or runs out of memory in it
harms no other. What it prints stands in SWEEP/output/7.log.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from trainer.sweep.board import Board
from trainer.sweep.ledger import ENDED, Job, Ledger, State
from trainer.sweep.worker import start

PAUSE = 0.5  # seconds after which signals are answered, if no job ends before
ANSWERED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Running:
    """A job and its process.

    Args:
        job: As it was taken from the ledger.
        process: Leader of a process group.
        seat: That it sits in.
    """

    job: Job
    process: BaseProcess
    seat: int


class SideBySide:
    """Runs the jobs of a sweep that are not done.

    Args:
        ledger: Of the sweep; others may work on it at the same time.
        seats: What each of the jobs that run at the same time finds in its environment.
        command: The words that run a job.
        retries: How often a failed job is begun once more.
        fail_fast: Whether to begin no further job once one has failed.
        board: Is told what happens.
        more: Of a search: chooses a further job; None once there are enough. What has failed is there a trial as any
            other, and is begun again only as often as `retries` says, whenever that was.
    """

    def __init__(
        self,
        ledger: Ledger,
        seats: Sequence[dict[str, str]],
        command: Callable[[Job], list[str]],
        retries: int,
        fail_fast: bool,
        board: Board,
        more: Callable[[], Job | None] | None = None,
    ) -> None:
        self.ledger, self.seats, self.command, self.board = ledger, seats, command, board
        self.retries, self.fail_fast, self.more = retries, fail_fast, more
        self.begun: Counter[int] = Counter()  # tries of this process
        self.before = {job.number: job.tries for job in ledger.jobs()}
        self.running: list[Running] = []
        self.signals: list[int] = []

    def run(self) -> int:
        """Run until nothing is left to begin.

        Returns:
            int: The signal that ended it before; else 0.
        """
        (self.ledger.sweep / "output").mkdir(exist_ok=True)
        told = 0
        with self._answering(), self.board:
            while self._begin() or self.running:
                wait([each.process.sentinel for each in self.running], PAUSE)
                if len(self.signals) > told:
                    told = len(self.signals)
                    self._stop(kill=told > 1)
                for each in [each for each in self.running if not each.process.is_alive()]:
                    self._end(each)
                self.board.refresh([each.job for each in self.running])
        return self.signals[0] if self.signals else 0

    def _begin(self) -> bool:
        """Fill the empty seats; False where none is left to be filled, or nobody to fill it."""
        while len(self.running) < len(self.seats) and (job := self._next()):
            if self.ledger.start(job):
                taken = {each.seat for each in self.running}
                self._start(job, next(seat for seat in range(len(self.seats)) if seat not in taken))
        return bool(self.running)

    def _next(self) -> Job | None:
        if self.signals:
            return None
        self.ledger.notice_the_dead()
        jobs = self.ledger.jobs()
        self.board.jobs = jobs
        since = {job.number: job.tries - self.before.get(job.number, 0) for job in jobs}
        failed = [job for job in jobs if job.state == "failed"]
        if self.fail_fast and any(since[job.number] for job in failed):
            return None
        for job in jobs:
            if job.state == "planned" or (job.state == "interrupted" and self.begun[job.number] <= self.retries):
                return job
        tries = {job.number: job.tries if self.more else since[job.number] for job in failed}
        again = next((job for job in failed if tries[job.number] <= self.retries), None)
        if again is None and self.more and (again := self.more()):
            self.board.jobs = [*jobs, again]
        return again

    def _start(self, job: Job, seat: int) -> None:
        environment = {**os.environ, **self.seats[seat]}
        process = start(self.command(job), environment, self._output(job.number))
        assert process.pid is not None
        self.ledger.hand_over(job.number, process.pid)
        self.begun[job.number] += 1
        self.running.append(Running(job, process, seat))
        self.board.began(job)

    def _end(self, one: Running) -> None:
        self.running.remove(one)
        number, code = one.job.number, one.process.exitcode or 0
        left = self.ledger.result(number) or {}
        state: State = "failed"
        if code == 0 and left.get("state") in ENDED:
            state = ENDED[left["state"]]
        elif self.signals or (code and left.get("state") == "interrupted"):
            state = "interrupted"
        error = self._why(number, code, left) if state == "failed" else None
        self.ledger.end(number, state, error)
        self.board.ended(self.ledger.job(number))

    def _why(self, number: int, code: int, left: dict[str, Any]) -> str:
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        if left.get("state") == "failed":
            return "\n".join(str(left["error"]).removeprefix("UserError: ").splitlines()[:3])
        said = self._output(number).read_text("utf-8", "replace").strip().splitlines()
        return said[-1] if said else f"exit status {code}"

    def _output(self, number: int) -> Path:
        return self.ledger.sweep / "output" / f"{number}.log"

    def _stop(self, *, kill: bool) -> None:
        self.board.say(
            "killing the running jobs"
            if kill
            else f"stopping: {len(self.running)} running job(s) save and leave (once more to kill them)"
        )
        for each in self.running:
            if kill:
                _kill(each.process)
            else:
                each.process.terminate()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Within this, signals are counted, and no process of a job is left behind by an error."""

        def answer(number: int, frame: FrameType | None) -> None:
            self.signals.append(number)

        before = {number: signal.signal(number, answer) for number in ANSWERED}
        try:
            yield
        finally:
            for each in self.running:
                _kill(each.process)
            for number, handler in before.items():
                signal.signal(number, handler)


def _kill(process: BaseProcess) -> None:
    """End a process and those that it has started."""
    assert process.pid is not None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it has no group yet, or is gone
        process.kill()


def seats(workers: int | None, jobs_per_gpu: int | None, gpus: Sequence[str]) -> list[dict[str, str]]:
    """What the jobs that run at the same time find in their environments: a GPU each, and a share of the cores.

    Args:
        workers: How many; None for as many as the GPUs take.
        jobs_per_gpu: How many share a GPU; None where it is left to the jobs.
        gpus: What `CUDA_VISIBLE_DEVICES` may name.
    """
    devices: list[dict[str, str]] = [{}] * (workers or 1)
    if jobs_per_gpu and gpus:
        devices = [{"CUDA_VISIBLE_DEVICES": gpu} for _ in range(jobs_per_gpu) for gpu in gpus][: workers or None]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(max(1, cores // len(devices)))
    return [{"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads), **device} for device in devices]


def visible_gpus() -> list[str]:
    """What each GPU that this process may use is called in `CUDA_VISIBLE_DEVICES`."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name]
    import torch  # the jobs have been checked with it already

    return [str(number) for number in range(torch.cuda.device_count())]


def quoted(path: Path) -> str:
    """A path as a value of Hydra's grammar."""
    return "'" + str(path).replace("\\", "\\\\").replace("'", "\\'") + "'"
