"""Board: how a sweep goes, live in a terminal, in plain lines elsewhere."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trainer.core.metric_direction import Direction
from trainer.sweep.status_table import best, counts, duration, seconds_left
from trainer.sweep.store.job_store import Job


class Board:
    """Tells what happens to the jobs of a sweep.

    Args:
        optimized: The optimized metrics, each with its direction. The best value is shown of a single one.
        at_a_time: Jobs that run side by side.
        wanted: Of a search: how many jobs there are to be.
    """

    def __init__(self, optimized: Mapping[str, Direction], at_a_time: int, wanted: int = 0) -> None:
        self.optimized = optimized
        self.at_a_time, self.wanted = at_a_time, wanted
        self.jobs: list[Job] = []
        self._console = Console()
        self._live = Live(console=self._console, refresh_per_second=4) if self._console.is_terminal else None

    def __enter__(self) -> "Board":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def began(self, job: Job) -> None:
        """A job has begun."""
        if not self._live:
            again = f" (try {job.tries + 1})" if job.tries else ""
            self.say(f"#{job.number} begins{again}: {' '.join(job.words)}")

    def ended(self, job: Job) -> None:
        """A job has ended."""
        self.jobs = [job if each.number == job.number else each for each in self.jobs]
        values = {metric: job.metric(metric) for metric in self.optimized}
        shown = "".join(f"  {metric} {value:.4g}" for metric, value in values.items() if value is not None)
        told = f"\n       {job.error}" if job.error else ""
        if job.error or not self._live:
            self.say(f"#{job.number} {job.state} in {job.seconds:.1f} s{shown}  [{self._standing()}]{told}")

    def say(self, text: str) -> None:
        """A line of text."""
        self._console.print(Text(text), soft_wrap=True)

    def refresh(self, running: Sequence[Job]) -> None:
        """Show what runs now."""
        if self._live:
            table = Table("job", "words", "since", box=SIMPLE_HEAD)
            for job in running:
                seconds = time.time() - next((each.began or 0 for each in self.jobs if each.number == job.number), 0)
                table.add_row(f"#{job.number}", Text(" ".join(job.words)), duration(min(seconds, 1e6)))
            self._live.update(Group(table, Text(self._standing())))

    def _standing(self) -> str:
        parts = [counts(self.jobs)]
        for metric, direction in self.optimized.items() if len(self.optimized) == 1 else ():
            if first := best(self.jobs, metric, direction):
                parts.append(f"best {metric} {first.metric(metric):.4g} (#{first.number})")
        left = seconds_left(self.jobs, self.at_a_time, self.wanted)
        if left:
            parts.append(f"about {duration(left)} left")
        return "; ".join(parts)
