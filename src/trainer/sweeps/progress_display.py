"""Progress of a sweep as a live table in a terminal, and as lines of text elsewhere."""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trainer.core.escaping import terminal_text
from trainer.core.formatting import format_duration, format_number
from trainer.core.metric_direction import Direction
from trainer.sweeps.status_table import estimate_seconds_left, find_best_job, format_counts
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.job_store import Ledger


class SweepProgress:
    """Prints the progress of a sweep.

    Args:
        optimized: Optimized metrics, each with its direction. The best value is printed if there is only one.
        max_parallel: Maximum number of jobs that run at a time.
        n_trials: Number of trials of a search. Defaults to 0.
    """

    def __init__(self, optimized: Mapping[str, Direction], max_parallel: int, n_trials: int = 0) -> None:
        self.optimized = optimized
        self.max_parallel = max_parallel
        self.n_trials = n_trials
        self.jobs: list[Job] = []
        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=4) if self._console.is_terminal else None

    def __enter__(self) -> "SweepProgress":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def job_started(self, job: Job) -> None:
        """Print that a job has started."""
        if not self._live:
            attempt = f" (attempt {job.attempts + 1})" if job.attempts else ""
            self.print_line(f"#{job.number} started{attempt}: {' '.join(job.overrides)}")

    def job_finished(self, job: Job) -> None:
        """Print how a job has ended."""
        self.jobs = [job if other.number == job.number else other for other in self.jobs]
        if job.error or not self._live:
            error = f"\n       {job.error}" if job.error else ""
            self.print_line(f"{format_end(job, self.optimized)}  [{self._format_status()}]{error}")

    def print_line(self, text: str) -> None:
        """Print a line of text."""
        self._console.print(terminal_text(text), soft_wrap=True)

    def refresh(self, ledger: Ledger, running: Sequence[int]) -> None:
        """Update the table of the running jobs.

        Args:
            ledger: Ledger of the sweep.
            running: Numbers of the jobs that this process has started.
        """
        if self._live:
            current = {job.number: job for job in ledger.jobs(running)}
            self.jobs = [current.get(job.number, job) for job in self.jobs]
            table = Table("job", "overrides", "time", box=SIMPLE_HEAD)
            for job in current.values():
                duration = "queued" if job.started is None else format_duration(job.elapsed_seconds())
                table.add_row(f"#{job.number}", terminal_text(" ".join(job.overrides)), duration)
            self._live.update(Group(table, Text(self._format_status())))

    def _format_status(self) -> str:
        return format_status(self.jobs, self.optimized, self.max_parallel, self.n_trials)


def format_end(job: Job, optimized: Iterable[str]) -> str:
    """Return the state, duration and optimized metrics of a job that has ended."""
    values = {metric: job.metric(metric) for metric in optimized}
    metrics = "".join(f"  {metric} {format_number(value)}" for metric, value in values.items() if value is not None)
    return f"#{job.number} {job.state} in {job.seconds:.1f} s{metrics}"


def format_status(jobs: Sequence[Job], optimized: Mapping[str, Direction], max_parallel: int, n_trials: int = 0) -> str:
    """Return the number of jobs in each state, the best value of a single optimized metric, and the remaining time.

    Args:
        jobs: All jobs of the sweep.
        optimized: Optimized metrics, each with its direction.
        max_parallel: Maximum number of jobs that run at a time.
        n_trials: Number of trials of a search. Defaults to 0.
    """
    parts = [format_counts(jobs)]
    for metric, direction in optimized.items() if len(optimized) == 1 else ():
        if best := find_best_job(jobs, metric, direction):
            parts.append(f"best {metric} {format_number(best.metric(metric))} (#{best.number})")
    seconds = estimate_seconds_left(jobs, max_parallel, n_trials)
    if seconds:
        parts.append(f"about {format_duration(seconds)} left")
    return "; ".join(parts)
